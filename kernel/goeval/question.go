package goeval

import (
	"fmt"
	"go/ast"
	"go/parser"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
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

// explain answers a question.
func (e *Evaluator) explain(name string, detail int) engine.Result {
	e.examples = true
	defer func() { e.examples = false }()
	b, found := e.inspect(name, len(name), detail)
	for part := within(name); !found && part != ""; part = within(part) {
		b, found = e.inspect(part, len(part), detail)
	}
	if !found {
		message := fmt.Sprintf("nothing is known of %s", name)
		if strings.HasPrefix(name, "%") {
			message = fmt.Sprintf("there is no magic %s: %%help lists them", name)
		}
		return failed(&engine.Failure{Name: "NameError", Message: message,
			Traceback: []string{red("NameError") + ": " + message}})
	}
	return engine.Result{Page: &b}
}
