package goeval

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// edit is a change to the text of an item. Its text is made when the item is rendered.
type edit struct {
	start, end int
	text       func() string
}

// editor changes the text of a checked cell's items.
type editor struct {
	*checked
	edits     map[*syntax.Item][]edit
	stack     []ast.Node // the node that is looked at, and those that it is in
	current   *syntax.Item
	rendering [][2]int // the edits whose text is being made
}

func newEditor(c *checked) editor { return editor{checked: c, edits: map[*syntax.Item][]edit{}} }

// walk has visit look at the nodes of an item.
func (l *editor) walk(it *syntax.Item, visit func(ast.Node)) {
	l.current, l.stack = it, nil
	ast.Inspect(it.Node(), func(n ast.Node) bool {
		if n == nil {
			l.stack = l.stack[:len(l.stack)-1]
			return false
		}
		l.stack = append(l.stack, n)
		visit(n)
		return true
	})
}

// sortEdits puts outer edits before inner ones.
func sortEdits(edits []edit) {
	slices.SortStableFunc(edits, func(a, b edit) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
}

// parent returns the node n levels above the one that is being looked at.
func (l *editor) parent(n int) ast.Node {
	if i := len(l.stack) - 1 - n; i >= 0 {
		return l.stack[i]
	}
	return nil
}

func (l *editor) edit(from, to token.Pos, text func() string) {
	it := l.current
	l.edits[it] = append(l.edits[it], edit{it.Offset(from), it.Offset(to), text})
}

func (l *editor) replace(from, to token.Pos, text string) {
	l.edit(from, to, func() string { return text })
}

func (l *editor) insert(at token.Pos, text string) { l.replace(at, at, text) }

// render returns the text between two offsets of an item, with the edits that lie within.
func (l *editor) render(it *syntax.Item, from, to int) string {
	var out strings.Builder
	source := it.Text.Source
	for _, e := range l.edits[it] {
		if e.start < from || e.end > to || e.start == from && e.end == to && e.start != e.end && len(l.rendering) > 0 &&
			l.rendering[len(l.rendering)-1] == [2]int{from, to} {
			continue
		}
		if e.start > to || e.start == to && e.end == e.start && to != it.End {
			continue
		}
		out.WriteString(source[from:e.start])
		l.rendering = append(l.rendering, [2]int{e.start, e.end})
		out.WriteString(e.text())
		l.rendering = l.rendering[:len(l.rendering)-1]
		from = e.end
	}
	out.WriteString(source[from:to])
	return out.String()
}

// itemOf returns the item that a position lies in.
func (l *editor) itemOf(p token.Pos) *syntax.Item {
	for _, it := range l.items {
		if it.Holds(p) {
			return it
		}
	}
	return l.current
}

// What follows makes the compiler content with variables that nothing reads, as cells may have them.

// unusedInAssign makes the compiler content with variables that nothing reads.
func (l *editor) unusedInAssign(x *ast.AssignStmt) {
	l.discard(x, x.Lhs, x.TokPos, func() {
		for _, e := range x.Lhs {
			if id, ok := e.(*ast.Ident); ok && l.unused[l.info.Defs[id]] {
				l.use(x, id.Name)
			}
		}
	})
}

func (l *editor) unusedInRange(x *ast.RangeStmt) {
	if x.Tok != token.DEFINE {
		return
	}
	var lhs []ast.Expr
	for _, e := range []ast.Expr{x.Key, x.Value} {
		if e != nil {
			lhs = append(lhs, e)
		}
	}
	l.discard(x, lhs, x.TokPos, func() {
		for _, e := range lhs {
			if id, ok := e.(*ast.Ident); ok && l.unused[l.info.Defs[id]] {
				l.insert(x.Body.Lbrace+1, "_ = "+id.Name+";")
			}
		}
	})
}

// discard replaces variables that are never mentioned again by blanks; otherwise it calls mention.
func (l *editor) discard(n ast.Node, lhs []ast.Expr, tok token.Pos, mention func()) {
	any, all, again := false, true, false
	for _, e := range lhs {
		id, ok := e.(*ast.Ident)
		if !ok {
			return
		}
		o := l.info.Defs[id]
		if o != nil && l.unused[o] {
			any = true
			again = again || l.mentioned(o)
		} else if id.Name != "_" && o != nil {
			all = false
		}
	}
	if !any {
		return
	}
	if again {
		mention()
		return
	}
	for _, e := range lhs {
		if id := e.(*ast.Ident); l.unused[l.info.Defs[id]] {
			l.replace(id.Pos(), id.End(), "_")
		}
	}
	if all {
		l.replace(tok, tok+2, "=")
	}
}

func (l *editor) mentioned(o types.Object) bool {
	for _, used := range l.info.Uses {
		if used == o {
			return true
		}
	}
	return false
}

// use mentions a variable behind the statement that defines it, or where the block begins that the statement heads.
func (l *editor) use(s ast.Stmt, name string) {
	switch p := l.parent(1).(type) {
	case *ast.IfStmt:
		l.insert(p.Body.Lbrace+1, "_ = "+name+";")
	case *ast.ForStmt:
		l.insert(p.Body.Lbrace+1, "_ = "+name+";")
	case *ast.SwitchStmt:
		if len(p.Body.List) > 0 {
			l.insert(p.Body.List[0].(*ast.CaseClause).Colon+1, "_ = "+name+";")
		}
	case *ast.TypeSwitchStmt:
		if len(p.Body.List) > 0 {
			l.insert(p.Body.List[0].(*ast.CaseClause).Colon+1, "_ = "+name+";")
		}
	case *ast.CommClause:
		if p.Comm == s {
			l.insert(p.Colon+1, "_ = "+name+";")
		} else {
			l.insert(s.End(), "; _ = "+name)
		}
	default:
		l.insert(s.End(), "; _ = "+name)
	}
}

func (l *editor) unusedInDecl(x *ast.DeclStmt) {
	d, ok := x.Decl.(*ast.GenDecl)
	if !ok || d.Tok != token.VAR {
		return
	}
	for _, spec := range d.Specs {
		for _, id := range spec.(*ast.ValueSpec).Names {
			if l.unused[l.info.Defs[id]] {
				l.insert(x.End(), "; _ = "+id.Name)
			}
		}
	}
}

func (l *editor) unusedInTypeSwitch(x *ast.TypeSwitchStmt) {
	a, ok := x.Assign.(*ast.AssignStmt)
	if !ok || len(a.Lhs) != 1 {
		return
	}
	id := a.Lhs[0].(*ast.Ident)
	for _, clause := range x.Body.List {
		if o := l.info.Implicits[clause]; o != nil && l.mentioned(o) {
			return
		}
	}
	l.replace(id.Pos(), a.Rhs[0].Pos(), "")
}
