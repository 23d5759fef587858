package check

import (
	"go/types"

	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
	"github.com/loupeml/loupe/kernel/toolchain"
)

// embeds checks that variables can hold what they embed.
func (k *checking) embeds() {
	for _, it := range k.Items {
		for _, e := range it.Embeds {
			t := k.Info.TypeOf(e.Spec.Type)
			if t == nil || t == types.Typ[types.Invalid] {
				continue // it has its own fault
			}
			single := isString(t) || gotypes.IsBytes(t)
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

func isEmbedFS(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == "embed" && n.Obj().Name() == "FS"
}

// AllEmbedded returns all that a cell's items embed, nil where that is nothing.
func (c *Checked) AllEmbedded() *toolchain.Embed {
	var all *toolchain.Embed
	for _, it := range c.Items {
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
