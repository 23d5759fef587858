package goeval

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
)

// list tells what cells have defined, sorted by what it is.
func (r *run) list(string) (string, error) {
	names := map[string][]string{}
	for _, name := range r.ns.Names() {
		b := r.ns.Bindings[name]
		names[b.SortName()] = append(names[b.SortName()], name)
	}
	names["import"] = slices.Sorted(maps.Keys(r.ns.Imports))
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 3, ' ', 0)
	for _, sort := range []string{"import", "const", "type", "var", "func"} {
		if len(names[sort]) > 0 {
			fmt.Fprintf(w, "%s\t%s\n", sort, strings.Join(names[sort], "  "))
		}
	}
	w.Flush()
	if out.Len() == 0 {
		return "nothing is defined", nil
	}
	return strings.TrimRight(out.String(), "\n"), nil
}

// remove forgets names. What a variable held can be collected.
func (r *run) remove(args string) (string, error) {
	list, err := words(args)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", fmt.Errorf("%%rm wants the names that are to be forgotten: %%list tells them")
	}
	var says []string
	for _, name := range list {
		b := r.ns.Bindings[name]
		_, imported := r.ns.Imports[name]
		switch {
		case b != nil:
			says = append(says, fmt.Sprintf(". removed %s %s", b.SortName(), name))
			if p := cell.Find(b.Slot); b.Sort == namespace.Var && p != nil {
				reflect.ValueOf(p).Elem().SetZero()
			}
		case imported:
			says = append(says, ". removed import "+name)
			delete(r.ns.Imports, name)
		default:
			// A notebook that is run again may have got rid of it before.
			fmt.Fprintf(os.Stderr, "there is no %s to be forgotten%s\n", name, nearest.InBrackets(name, r.ns.Names()))
			continue
		}
		delete(r.ns.Bindings, name)
		delete(r.groups, name)
	}
	return strings.Join(says, "\n"), nil
}
