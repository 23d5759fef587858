package assist

import (
	"go/ast"
	"go/parser"

	"github.com/loupeml/loupe/lib/mime"
)

// within is what is meant by an expression of which nothing is known itself: the generic type of one with its
// arguments, what is indexed, what a pointer or a slice is of. It is empty where there is nothing of the kind.
func within(expression string) string {
	x, err := parser.ParseExpr(expression)
	if err != nil {
		return ""
	}
	var part ast.Expr
	switch x := x.(type) {
	case *ast.IndexExpr:
		part = x.X
	case *ast.IndexListExpr:
		part = x.X
	case *ast.SliceExpr:
		part = x.X
	case *ast.StarExpr:
		part = x.X
	case *ast.ParenExpr:
		part = x.X
	case *ast.UnaryExpr:
		part = x.X
	case *ast.CompositeLit:
		part = x.Type
	case *ast.ArrayType:
		part = x.Elt
	}
	if part == nil {
		return ""
	}
	return expression[part.Pos()-1 : part.End()-1]
}

// Explain says what a name is, with its examples, and with detail 1 its source; or of a part of an expression.
func (e *Environment) Explain(name string, detail int) (b mime.Bundle, found bool) {
	e.withExamples = true
	b, found = e.Inspect(name, len(name), detail)
	for part := within(name); !found && part != ""; part = within(part) {
		b, found = e.Inspect(part, len(part), detail)
	}
	return b, found
}
