package syntax

import (
	"go/ast"
	"go/token"
)

// CalledAt is where the name stands of what a call calls: in a chain of calls over several lines, the call's own line.
func CalledAt(call *ast.CallExpr) token.Pos {
	if s, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok {
		return s.Sel.Pos()
	}
	return call.Pos()
}

// EnclosingFunc is the function in which the node at i of a stack stands, or which it is; nil where it is in none.
func EnclosingFunc(stack []ast.Node, i int) *ast.FuncType {
	for ; i >= 0; i-- {
		switch f := stack[i].(type) {
		case *ast.FuncLit:
			return f.Type
		case *ast.FuncDecl:
			return f.Type
		}
	}
	return nil
}
