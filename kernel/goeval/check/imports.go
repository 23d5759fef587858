package check

import (
	"go/ast"
	"go/types"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Use is something that a cell uses of a package that it does not import.
type Use struct {
	Name      string
	Arguments int // of a call; -1 where it is none, or may have any number
}

// Of reports whether a package has what is used. A function has to take as many arguments.
func (u Use) Of(p *types.Package) bool {
	o := p.Scope().Lookup(u.Name)
	if o == nil || !o.Exported() || p.Path() == "math/rand" && u.Name == "Read" { // long deprecated: crypto/rand is meant
		return false
	}
	f, ok := o.(*types.Func)
	if !ok || u.Arguments < 0 {
		return true
	}
	n := f.Signature().Params().Len()
	return n == u.Arguments || f.Signature().Variadic() && u.Arguments >= n-1
}

// usesOf returns what items use of a package name that comes from outside of them.
func usesOf(items []*syntax.Item, name string) (uses []Use) {
	for _, it := range items {
		ast.Inspect(it.Node(), func(n ast.Node) bool {
			arguments := -1
			if call, ok := n.(*ast.CallExpr); ok {
				if n, arguments = call.Fun, len(call.Args); call.Ellipsis.IsValid() || len(call.Args) == 1 &&
					isCall(call.Args[0]) {
					arguments = -1 // those that it is given have another number
				}
			}
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == name && slices.Contains(it.Unresolved, x) {
					uses = append(uses, Use{s.Sel.Name, arguments})
				}
			}
			return true
		})
	}
	// What is called stands in the list without its arguments as well.
	return slices.DeleteFunc(uses, func(u Use) bool {
		return u.Arguments < 0 && slices.ContainsFunc(uses, func(v Use) bool {
			return v.Name == u.Name &&
				v.Arguments >= 0
		})
	})
}

func isCall(x ast.Expr) bool {
	_, ok := ast.Unparen(x).(*ast.CallExpr)
	return ok
}

// imports notes what the cell imports, by its import declarations and by use.
func (k *checking) imports() {
	declared := map[string]bool{} // by anything but variables: the order of these does not count
	for _, it := range k.Items {
		if it.Kind == syntax.ImportItem {
			k.importDecl(it, declared)
		}
	}
	for name := range declared {
		delete(k.After.Bindings, name)
	}
	for _, it := range k.Items {
		if it.Kind != syntax.StmtItem && it.Kind != syntax.VarItem {
			for _, name := range it.Defines {
				declared[name] = true
			}
		}
	}
	variables := map[string]bool{} // that the statements before define
	all := map[string]bool{}       // and all
	mentioned := map[string]bool{} // by the items before
	for _, it := range k.Items {
		if it.Kind == syntax.StmtItem || it.Kind == syntax.VarItem {
			for _, name := range it.Defines {
				all[name] = true
			}
		}
	}
	for _, it := range k.Items {
		statement := it.Kind == syntax.StmtItem || it.Kind == syntax.VarItem
		for _, id := range it.Unresolved {
			name := id.Name
			if !it.Qualifiers[name] || declared[name] || variables[name] || all[name] && !statement {
				continue
			}
			if b := k.After.Bindings[name]; b != nil {
				if !statement || mentioned[name] || !k.meansPackage(it, name, b) {
					continue
				}
				k.hidden[name] = b
				delete(k.After.Bindings, name)
			}
			now := k.After.Imports[name]
			if now != "" && !k.After.ByUse[name] {
				continue // an import declaration says what is meant
			}
			if path := k.checker.Resolve(name, now, usesOf(k.Items, name)); path != "" {
				k.After.Imports[name] = path
				k.After.ByUse[name] = true
			}
		}
		if statement {
			for _, name := range it.Defines {
				variables[name] = true
			}
		}
		for _, id := range it.Unresolved {
			mentioned[id.Name] = true
		}
	}
}

// meansPackage reports whether a statement that defines a variable anew means a package by its name, as it did when it
// ran before: url, err := url.Parse("…"). What it uses is the package's, and not the variable's.
func (k *checking) meansPackage(it *syntax.Item, name string, b *namespace.Binding) bool {
	if b.Sort != namespace.Var || !slices.Contains(it.Defines, name) {
		return false
	}
	for _, u := range usesOf([]*syntax.Item{it}, name) {
		if o, _, _ := types.LookupFieldOrMethod(b.Object.Type(), true, b.Object.Pkg(), u.Name); o == nil {
			return len(k.checker.HomesOf(name, u.Name)) > 0
		}
	}
	return false
}

// unhide gives names their variables again that statements have taken for packages.
func (k *checking) unhide() {
	for name, b := range k.hidden {
		k.After.Bindings[name] = b
	}
}

// importDecl notes what an import declaration imports.
func (k *checking) importDecl(it *syntax.Item, declared map[string]bool) {
	for _, spec := range it.Decl.(*ast.GenDecl).Specs {
		s := spec.(*ast.ImportSpec)
		path := strings.Trim(s.Path.Value, "\"`")
		if path == "C" {
			k.Cgo = true
			continue
		}
		p, err := k.checker.Importer.Import(path)
		if err != nil {
			k.found = append(k.found, syntax.Fault{Text: it.Text, Offset: it.Offset(s.Path.Pos()), Message: err.Error()})
			continue
		}
		path = p.Path() // a package that has changed comes by another one
		name := p.Name()
		if s.Name != nil {
			name = s.Name.Name
		}
		switch name {
		case "_":
		case ".":
			if !slices.Contains(k.After.Dotted, path) {
				k.After.Dotted = append(k.After.Dotted, path)
			}
		default:
			k.After.Imports[name] = path
			delete(k.After.ByUse, name)
			declared[name] = true
		}
	}
}

// hides explains a member that a variable does not have where it is a package's, and the variable hides that; "" where
// it is none.
func (k *checking) hides(name, member string) string {
	if len(k.checker.HomesOf(name, member)) == 0 {
		return ""
	}
	what := ""
	if b := k.After.Bindings[name]; b != nil {
		what = map[string]string{"var": "variable", "func": "function", "const": "constant", "type": "type"}[b.SortName()]
	}
	for _, it := range k.Items {
		if slices.Contains(it.Defines, name) && it.Kind != syntax.ImportItem {
			what = "variable"
			if it.Kind != syntax.StmtItem && it.Kind != syntax.VarItem {
				what = "declaration"
			}
		}
	}
	if what == "" {
		return ""
	}
	return "; " + name + " is a " + what + " of this notebook, which hides the package " + name +
		": give it another name, and forget this one with %rm " + name
}

// elsewhere tells which package of the same name has a member that the imported one has not.
func (k *checking) elsewhere(name, member string) string {
	now := k.After.Imports[name]
	for _, path := range k.checker.HomesOf(name, member) {
		if path != now {
			return "; " + name + " is " + now + " here, and " + member + " is in " + path + ": import " + strconv.Quote(path)
		}
	}
	return ""
}
