package lower

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// guard has a goroutine that a cell starts cost the cell, and not the process, when it panics.
//
// A function literal gets a deferred call. What else is called, and with which arguments, is kept in variables, since
// the go statement evaluates them at once:
//
//	go f(x, 1)  →  go func() func() { f, x := f, x; return func() { defer guard(); f(x, 1) } }()()
func (l *Lowering) guard(g *ast.GoStmt) {
	call := g.Call
	if f, ok := ast.Unparen(call.Fun).(*ast.FuncLit); ok {
		l.Insert(f.Body.Lbrace+1, "defer "+l.cell()+".Guard();")
		return
	}
	if tv := l.Info.Types[call.Fun]; tv.IsBuiltin() || tv.IsType() {
		return
	}
	for _, a := range call.Args {
		if !l.keepable(a) {
			return
		}
	}
	it := l.Current
	text := func(n ast.Node) string { return l.Render(it, it.Offset(n.Pos()), it.Offset(n.End())) }
	l.cell()
	l.Edit(call.Pos(), call.End(), func() string {
		var keeps strings.Builder
		function := text(call.Fun)
		if !l.isFunction(call.Fun) {
			fmt.Fprintf(&keeps, "%sf := %s;", own, function)
			function = own + "f"
		}
		var args []string
		keep := func(values string, n int) {
			first := len(args)
			for range n {
				args = append(args, fmt.Sprintf("%sa%d", own, len(args)))
			}
			fmt.Fprintf(&keeps, "%s := %s;", strings.Join(args[first:], ", "), values)
		}
		for _, a := range call.Args {
			tv := l.Info.Types[a]
			switch t := tv.Type.(type) {
			case *types.Tuple:
				keep(text(a), t.Len()) // f(g()) where g has several results
			default:
				if tv.Value == nil && !tv.IsNil() {
					keep(text(a), 1)
				} else {
					args = append(args, text(a))
				}
			}
		}
		if call.Ellipsis.IsValid() {
			args[len(args)-1] += "..."
		}
		out := fmt.Sprintf("func() func() { %sreturn func() { defer %s.Guard(); %s(%s) } }()()", keeps.String(), l.cell(),
			function, strings.Join(args, ", "))
		// What follows keeps its line.
		source := it.Text.Source[it.Offset(call.Pos()):it.Offset(call.End())]
		return out + strings.Repeat("\n", max(0, strings.Count(source, "\n")-strings.Count(out, "\n")))
	})
}

// isFunction reports whether an expression names a function, which cannot change and may be generic.
func (l *Lowering) isFunction(x ast.Expr) bool {
	switch y := ast.Unparen(x).(type) {
	case *ast.IndexExpr:
		x = y.X
	case *ast.IndexListExpr:
		x = y.X
	}
	var o types.Object
	switch x := ast.Unparen(x).(type) {
	case *ast.Ident:
		o = l.Info.Uses[x]
	case *ast.SelectorExpr:
		o = l.Info.Uses[x.Sel]
	}
	f, ok := o.(*types.Func)
	return ok && f.Signature().Recv() == nil
}

// keepable reports whether a variable that is declared with the argument as its value has the type that the argument
// has in the call.
func (l *Lowering) keepable(a ast.Expr) bool {
	tv := l.Info.Types[a]
	if tv.Value != nil || tv.IsNil() {
		return true
	}
	if _, several := tv.Type.(*types.Tuple); several {
		return true
	}
	basic, ok := tv.Type.(*types.Basic)
	if !ok || basic.Kind() != types.Bool && basic.Kind() != types.Int {
		// A comparison or a shift of constants takes its type from the parameter.
		keep := true
		ast.Inspect(a, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.CallExpr, *ast.FuncLit, *ast.IndexExpr, *ast.CompositeLit:
				return false
			case *ast.BinaryExpr:
				switch x.Op {
				case token.SHL, token.SHR, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ, token.LAND,
					token.LOR:
					keep = false
				}
			}
			return keep
		})
		return keep
	}
	return true
}
