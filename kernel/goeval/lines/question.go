package lines

import (
	"go/ast"
	"go/parser"
	"strings"
)

// Question tells whether a cell, or a line of it, asks what a name is: name? or ?name, with a second question mark for
// its source as well.
func Question(source string) (name string, detail int, ok bool) {
	source = strings.TrimSpace(source)
	name = strings.Trim(source, "?")
	marks := len(source) - len(name)
	name = strings.TrimSpace(name)
	if marks == 0 || marks > 2 || strings.ContainsAny(name, "\n?") || name == "" ||
		strings.HasPrefix(name, "!") || strings.HasPrefix(name, "//") {
		return "", 0, false
	}
	if strings.HasPrefix(name, "%") {
		return name, marks - 1, !strings.ContainsAny(name, " \t")
	}
	x, err := parser.ParseExpr(name)
	if err != nil {
		// Keywords of Go, and what is no Go at all, are nothing to ask about.
		return name, marks - 1, !strings.ContainsAny(name, " \t\"'`")
	}
	if call, ok := x.(*ast.CallExpr); ok {
		name = name[:call.Fun.End()-1] // what is called is meant
	}
	return name, marks - 1, true
}
