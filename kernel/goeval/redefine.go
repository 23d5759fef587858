package goeval

import (
	"fmt"
	"go/ast"
	"go/token"
	"reflect"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
)

// definition is the form "names := values" that an item has or, for a var without a type, can be given.
type definition struct {
	names  []string // "_" among them
	values token.Pos
}

func (it *item) definition() (definition, bool) {
	var d definition
	switch {
	case it.kind == stmtItem:
		assign, ok := it.stmt.(*ast.AssignStmt)
		if !ok || assign.Tok != token.DEFINE {
			return d, false
		}
		for _, lhs := range assign.Lhs {
			name, ok := lhs.(*ast.Ident)
			if !ok {
				return d, false
			}
			d.names = append(d.names, name.Name)
		}
		d.values = assign.Rhs[0].Pos()
		return d, true
	case it.kind == varItem:
		g := it.decl.(*ast.GenDecl)
		if g.Lparen.IsValid() || len(g.Specs) != 1 {
			return d, false
		}
		spec := g.Specs[0].(*ast.ValueSpec)
		if spec.Type != nil || len(spec.Values) == 0 {
			return d, false
		}
		for _, name := range spec.Names {
			d.names = append(d.names, name.Name)
		}
		d.values = spec.Values[0].Pos()
		return d, true
	}
	return d, false
}

// define runs a definition. yaegi makes a new, zero variable before it computes the value: x := x + 1 would
// be 1, and a definition that fails would cost what was there. So the values are computed into
// variables of our own first. A variable that exists and keeps its type is then assigned to, so
// that the functions that use it see the new value.
func (r *run) define(it *item, d definition) *engine.Failure {
	var names, holders []string
	left := make([]string, len(d.names))
	for i, name := range d.names {
		left[i] = "_"
		if name != "_" {
			left[i] = fmt.Sprintf("%svalue%d", showPackage, i)
			names, holders = append(names, name), append(holders, left[i])
		}
	}
	at := it.offset(d.values)
	line, column := position(r.source, at)
	op := ":="
	if len(names) == 0 {
		op = "="
	}
	text := fmt.Sprintf("%s %s /*line %s/_.go:%d:%d*/%s\n", strings.Join(left, ", "), op, r.key, line, column, r.source[at:it.end])
	if failure := r.yaegiEval(text); failure != nil {
		return failure
	}
	globals := r.yaegi.Globals()
	for i, name := range names {
		before, value := globals[name], globals[holders[i]]
		text := r.directive(it.start) + name + " := " + holders[i] + "\n"
		if r.names[name] != "" && before.IsValid() && value.IsValid() && before.Type() == value.Type() && r.sameType(name, holders[i]) {
			text = name + " = " + holders[i]
		}
		if failure := r.yaegiEval(text); failure != nil {
			return failure
		}
		// What the holder holds on to could never be freed.
		if value.IsValid() && value.CanSet() {
			value.Set(reflect.Zero(value.Type()))
		}
	}
	return nil
}

// sameType reports whether two variables have one type. Reflection does not know the names of interpreted
// types, and yaegi assigns between types of the same structure; but their pointers do not compare.
func (r *run) sameType(a, b string) bool {
	return r.yaegiEval(fmt.Sprintf("if &%s == &%s {}", a, b)) == nil
}
