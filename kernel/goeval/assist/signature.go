package assist

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/types"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/gotypes"
	"github.com/loupeml/loupe/kernel/goeval/must"
)

// enclosingCall returns the call among whose arguments the cursor is, and which of them that is. A function literal
// among the arguments is a place of its own.
func (p *place) enclosingCall() (call *ast.CallExpr, arg int) {
	var node ast.Node = p.ident
	for i := len(p.stack) - 1; i >= 0; i-- {
		switch n := p.stack[i].(type) {
		case *ast.FuncLit:
			if node == n.Body {
				return nil, 0
			}
		case *ast.CallExpr:
			if !must.Inserted(n) && node != n.Fun {
				return n, slices.IndexFunc(n.Args, func(x ast.Expr) bool { return x == node })
			}
		}
		node = p.stack[i]
	}
	return nil, 0
}

// callBefore returns the call that the cursor stands directly behind, as the operand of a sum that its name was made
// one of; nil where it does not.
func (p *place) callBefore() *ast.CallExpr {
	if sum, ok := p.stack[len(p.stack)-1].(*ast.BinaryExpr); ok && sum.Y == p.ident {
		if call, ok := sum.X.(*ast.CallExpr); ok && must.Inserted(call) {
			call, _ = call.Args[0].(*ast.CallExpr)
			return call
		} else if ok {
			return call
		}
	}
	return nil
}

// called returns what a call calls, where that has a name.
func (p *place) called(call *ast.CallExpr) types.Object {
	fun := ast.Unparen(call.Fun)
	switch x := fun.(type) {
	case *ast.IndexExpr: // the instance of a generic one, or an element
		if _, ok := gotypes.Underlying(p.typeOf(x.X)).(*types.Signature); !ok && !p.Info.Types[x.X].IsType() {
			return nil
		}
		fun = x.X
	case *ast.IndexListExpr:
		fun = x.X
	}
	switch x := fun.(type) {
	case *ast.Ident:
		return p.Info.Uses[x]
	case *ast.SelectorExpr:
		return p.Info.Uses[x.Sel]
	}
	return nil
}

// signatureHelp says what a call takes, which argument the cursor is in, and what the documentation of what is called
// is. header is without the documentation. They are empty where nothing is known.
func (e *Environment) signatureHelp(p *place, call *ast.CallExpr, arg int) (header, doc string) {
	o := p.called(call)
	tv := p.Info.Types[call.Fun]
	switch {
	case tv.IsType():
		t := types.TypeString(tv.Type, shortName)
		header = fmt.Sprintf("%s(x): x converted to %s", t, t)
		if name, ok := o.(*types.TypeName); ok {
			header += "\n" + describe(name)
			doc = e.docOf(name)
		}
		return header, doc
	case tv.IsBuiltin():
		if _, ok := o.(*types.Builtin); !ok {
			return "", "" // a function of package unsafe, in parentheses
		}
		header = e.builtinSignature(o.Name())
		if f := e.builtinDecl(o.Name()); f != nil {
			var params []string
			for _, field := range f.Type.Params.List {
				for _, name := range field.Names {
					params = append(params, name.Name+" "+e.builtinText(field.Type))
				}
			}
			header += argumentLine(arg, params, len(params) > 0 && strings.Contains(params[len(params)-1], "..."))
		}
		return header, e.documentation("builtin", o.Name(), "")
	}
	signature, ok := gotypes.Underlying(p.typeOf(call.Fun)).(*types.Signature)
	if !ok {
		return "", ""
	}
	switch {
	case o == nil:
		header = types.TypeString(signature, shortName)
	default:
		header = describe(o)
		doc = e.docOf(o)
	}
	var params []string
	for v := range signature.Params().Variables() {
		params = append(params, strings.TrimSpace(v.Name()+" "+types.TypeString(v.Type(), shortName)))
	}
	if signature.Variadic() {
		last := signature.Params().At(len(params) - 1)
		if s, ok := last.Type().(*types.Slice); ok {
			params[len(params)-1] = strings.TrimSpace(last.Name() + " ..." + types.TypeString(s.Elem(), shortName))
		}
	}
	return header + argumentLine(arg, params, signature.Variadic()), doc
}

// argumentLine says which argument the cursor is in.
func argumentLine(arg int, params []string, variadic bool) string {
	switch {
	case arg < 0 || len(params) == 0:
		return ""
	case arg < len(params):
		return fmt.Sprintf("\nargument %d: %s", arg+1, params[arg])
	case variadic:
		return fmt.Sprintf("\nargument %d: %s", arg+1, params[len(params)-1])
	}
	return fmt.Sprintf("\nargument %d: there are only %d", arg+1, len(params))
}

// docOf returns the documentation of something that a package declares: its doc comment, or the source of what a cell
// has declared.
func (e *Environment) docOf(o types.Object) string {
	if o.Pkg() == nil {
		if o.Name() == must.Name {
			return must.Doc
		}
		return ""
	}
	receiver := ""
	if f, ok := o.(*types.Func); ok {
		receiver = receiverName(f)
	}
	if o.Pkg().Path() == "main" {
		if g := e.Groups[o.Name()]; g != nil && receiver == "" {
			if _, isVar := o.(*types.Var); !isVar {
				return g.Source()
			}
		}
		if g := e.Groups[receiver]; g != nil {
			if it := g.Methods[receiver+"."+o.Name()]; it != nil {
				return it.Text.Source[it.Lead:it.End]
			}
		}
		return ""
	}
	if receiver != "" {
		return e.documentation(o.Pkg().Path(), receiver, o.Name())
	}
	if v, ok := o.(*types.Var); ok && v.IsField() {
		return ""
	}
	return e.documentation(o.Pkg().Path(), o.Name(), "")
}

// builtinDecl returns how package builtin writes a function down.
func (e *Environment) builtinDecl(name string) *ast.FuncDecl {
	s := e.sourcesOf("builtin")
	if s == nil {
		return nil
	}
	for _, f := range s.files {
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
				return f
			}
		}
	}
	return nil
}

// builtinSignature is the signature of a predeclared function, as package builtin writes it down.
func (e *Environment) builtinSignature(name string) string {
	f := e.builtinDecl(name)
	if f == nil {
		return "func " + name
	}
	return "func " + name + strings.TrimPrefix(e.builtinText(f.Type), "func")
}

// builtinText is a piece of package builtin.
func (e *Environment) builtinText(n ast.Node) string {
	var out strings.Builder
	if s := e.sourcesOf("builtin"); s == nil || format.Node(&out, s.fset, n) != nil {
		return ""
	}
	return out.String()
}
