package check

import (
	"go/ast"
	"go/token"
	"go/types"

	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Program checks a whole file; it sees nothing of the notebook.
func (c *Checker) Program(fset *token.FileSet, items []*syntax.Item, before *namespace.Namespace) (*Checked,
	[]syntax.Fault) {
	k := newChecking(c, fset, items, before)
	k.program = true
	k.After = &namespace.Namespace{Bindings: map[string]*namespace.Binding{}, Imports: map[string]string{}}
	k.imports()
	k.After = before.Clone()
	if len(k.found) == 0 {
		var decls []ast.Decl
		for _, it := range items {
			decls = append(decls, it.Decl)
		}
		k.names = map[string]bool{}
		k.Pkg = newProgramPackage()
		k.run(k.Pkg, k.config(), decls)
	}
	if len(k.found) > 0 {
		return nil, k.sorted()
	}
	k.keep()
	return k.Checked, nil
}

// keep enters the program's variables and functions into the namespace, as far as their types mean something outside.
func (k *checking) keep() {
	scope := k.Pkg.Scope()
	for _, name := range scope.Names() {
		o := scope.Lookup(name)
		b := &namespace.Binding{Object: o}
		switch o := o.(type) {
		case *types.Var:
			b.Sort = namespace.Var
		case *types.Func:
			if name == "main" || o.Signature().TypeParams().Len() > 0 {
				continue
			}
			b.Sort = namespace.Func
		default:
			continue
		}
		if k.mentionsOwn(o.Type()) || gotypes.HasOwnFields(o.Type()) {
			continue
		}
		b.Slot = k.After.SlotFor(name)
		k.After.Bindings[name] = b
		k.After.Funcs[o] = b
		k.Declared = append(k.Declared, o)
	}
}

func (k *checking) mentionsOwn(t types.Type) bool {
	found := false
	gotypes.Walk(t, func(t types.Type) bool {
		if n, ok := t.(*types.Named); ok && n.Obj().Pkg() == k.Pkg {
			found = true
		}
		return !found
	})
	return found
}

func newProgramPackage() *types.Package { return types.NewPackage("main", "main") }
