package lower

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ImportPaths returns what the generated source imports.
func (l *Lowering) ImportPaths() []string {
	paths := map[string]bool{}
	for _, p := range l.Imports {
		paths[p] = true
	}
	for p := range l.dotted {
		paths[p] = true
	}
	for p := range l.blank {
		paths[p] = true
	}
	for u := range l.units {
		paths[u.Path] = true
	}
	if l.program {
		for _, it := range l.Items {
			for _, p := range it.ImportPaths() {
				paths[p] = true
			}
		}
	}
	return append([]string{cellPackage}, slices.Sorted(maps.Keys(paths))...)
}

var (
	ownSlot  = regexp.MustCompile(private + `([\pL_][\pL\pN_]*?)_\d+`)
	ownNames = strings.NewReplacer(own+"cell.", "", own+"instead.", "", own, "", private, "", Mark, "", local, "")
)

// WithoutOwnNames words what the compiler says of the generated source in the names of the cell.
func WithoutOwnNames(message string) string {
	return ownNames.Replace(ownSlot.ReplaceAllString(message, "$1"))
}

// FunctionName is how a function of a compiled cell is called in its source.
func FunctionName(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	if _, rest, ok := strings.Cut(name, "."); ok {
		name = rest
	}
	if rest, ok := strings.CutPrefix(name, private+"run"); ok {
		return strings.TrimPrefix(rest, ".")
	}
	if rest, ok := strings.CutPrefix(name, private+"init"); ok {
		name = "init" + strings.TrimLeft(rest, "0123456789")
	}
	name = strings.NewReplacer(Mark, "", local, "").Replace(name)
	return strings.TrimSuffix(name, "[...]")
}

// SlotPackage is the name under which interpreted code finds the variables, and what shows a value.
const SlotPackage = private + "v"
