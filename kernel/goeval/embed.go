package goeval

import (
	"fmt"
	"go/types"
	"strconv"

	"github.com/loupeml/loupe/kernel/goeval/syntax"
	"github.com/loupeml/loupe/kernel/toolchain"
)

// A variable of a cell may get its value from files, by a //go:embed line as in a package: the files lie in the folder
// of the notebook, or in that of the file that %run runs. The variable itself lives in its slot as all do; what the
// compiler fills is another one beside it. A cell is compiled anew where a file has changed.

// embeds checks that variables can hold what they embed.
func (k *checking) embeds() {
	for _, it := range k.items {
		for _, e := range it.Embeds {
			t := k.info.TypeOf(e.Spec.Type)
			if t == nil || t == types.Typ[types.Invalid] {
				continue // it has its own fault
			}
			single := isString(t) || isBytes(t)
			files := 0
			for _, pattern := range e.Patterns {
				files += len(it.Embed.Patterns[pattern])
			}
			switch {
			case !single && !isEmbedFS(t):
				k.add(syntax.Fault{Text: it.Text, Offset: e.Offset, Message: "go:embed cannot apply to var of type " +
					types.TypeString(t, func(p *types.Package) string {
						if p.Path() == "main" {
							return ""
						}
						return p.Name()
					})})
			case single && files > 1:
				k.add(syntax.Fault{Text: it.Text, Offset: e.Offset, Message: "invalid go:embed: multiple files for type " +
					types.TypeString(t.Underlying(), nil)})
			}
		}
	}
}

func isString(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Kind() == types.String
}

func isBytes(t types.Type) bool {
	s, ok := t.Underlying().(*types.Slice)
	if !ok {
		return false
	}
	b, ok := s.Elem().Underlying().(*types.Basic)
	return ok && b.Kind() == types.Uint8
}

func isEmbedFS(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == "embed" && n.Obj().Name() == "FS"
}

// embed returns the value of a variable that embeds files, and declares the one that the compiler fills.
func (l *lowering) embed(it *syntax.Item, e *syntax.Embedding, typeText string) string {
	if l.embedVars == nil {
		l.embedVars = map[*syntax.Embedding]string{}
	}
	name := l.embedVars[e]
	if name == "" {
		name = private + "embed" + strconv.Itoa(len(l.embedVars)+1)
		l.embedVars[e] = name
		line := syntax.EmbedDirective
		for _, pattern := range e.Patterns {
			line += " " + strconv.Quote(pattern)
		}
		l.embedDecls += fmt.Sprintf("\n// of %s%s%s\nvar %s %s\n", e.Digest, l.directive(it, e.Offset), line, name,
			typeText)
		l.blank["embed"] = true
	}
	if isBytes(l.info.TypeOf(e.Spec.Type)) {
		return fmt.Sprintf("append(%s[:0:0], %s...)", name, name) // the cell may run again, when the bytes have been changed
	}
	return name
}

// allEmbedded returns all that a cell's items embed, nil where that is nothing.
func (c *checked) allEmbedded() *toolchain.Embed {
	var all *toolchain.Embed
	for _, it := range c.items {
		if it.Embed == nil {
			continue
		}
		if all == nil {
			all = &toolchain.Embed{Patterns: map[string][]string{}, Files: map[string]string{}}
		}
		for pattern, files := range it.Embed.Patterns {
			all.Patterns[pattern] = files
		}
		for file, at := range it.Embed.Files {
			all.Files[file] = at
		}
	}
	return all
}
