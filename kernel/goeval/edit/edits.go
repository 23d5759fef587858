// Package edit changes the text of a checked cell, by the nodes of its syntax trees.
package edit

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// edit is a change to the text of an item. Its text is made when the item is rendered.
type edit struct {
	start, end int
	text       func() string
}

// Editor changes the text of a checked cell's items.
type Editor struct {
	*check.Checked
	edits     map[*syntax.Item][]edit
	Stack     []ast.Node // the node that is looked at, and those that it is in
	Current   *syntax.Item
	rendering [][2]int // the edits whose text is being made
}

// New returns an editor that has changed nothing yet.
func New(c *check.Checked) Editor { return Editor{Checked: c, edits: map[*syntax.Item][]edit{}} }

// Walk has visit look at the nodes of an item.
func (l *Editor) Walk(it *syntax.Item, visit func(ast.Node)) {
	l.Current, l.Stack = it, nil
	ast.Inspect(it.Node(), func(n ast.Node) bool {
		if n == nil {
			l.Stack = l.Stack[:len(l.Stack)-1]
			return false
		}
		l.Stack = append(l.Stack, n)
		visit(n)
		return true
	})
}

// ReplaceItem has a text stand in the place of all of an item.
func (l *Editor) ReplaceItem(it *syntax.Item, text func() string) {
	l.edits[it] = append(l.edits[it], edit{it.Start, it.End, text})
}

// Join makes the edits of items those of one that has them all in it.
func (l *Editor) Join(whole *syntax.Item, items []*syntax.Item) {
	for _, of := range items {
		l.edits[whole] = append(l.edits[whole], l.edits[of]...)
	}
	l.Sort(whole)
}

// Sort puts the outer edits of an item before the inner ones, as they have to be when it is rendered.
func (l *Editor) Sort(it *syntax.Item) {
	slices.SortStableFunc(l.edits[it], func(a, b edit) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
}

// Parent returns the node n levels above the one that is being looked at.
func (l *Editor) Parent(n int) ast.Node {
	if i := len(l.Stack) - 1 - n; i >= 0 {
		return l.Stack[i]
	}
	return nil
}

// Edit has a text stand between two positions of the item that is being walked.
func (l *Editor) Edit(from, to token.Pos, text func() string) {
	it := l.Current
	l.edits[it] = append(l.edits[it], edit{it.Offset(from), it.Offset(to), text})
}

// Replace is Edit for a text that is known.
func (l *Editor) Replace(from, to token.Pos, text string) {
	l.Edit(from, to, func() string { return text })
}

// Insert puts a text at a position.
func (l *Editor) Insert(at token.Pos, text string) { l.Replace(at, at, text) }

// Render returns the text between two offsets of an item, with the edits that lie within.
func (l *Editor) Render(it *syntax.Item, from, to int) string {
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

// ItemOf returns the item that a position lies in.
func (l *Editor) ItemOf(p token.Pos) *syntax.Item {
	for _, it := range l.Items {
		if it.Holds(p) {
			return it
		}
	}
	return l.Current
}

// MentionUnused makes the compiler content with variables that a node of an item defines and nothing reads, as cells
// may have them.
func (l *Editor) MentionUnused(n ast.Node) {
	switch x := n.(type) {
	case *ast.AssignStmt:
		if x.Tok == token.DEFINE && len(l.Stack) > 1 {
			l.unusedInAssign(x)
		}
	case *ast.RangeStmt:
		l.unusedInRange(x)
	case *ast.DeclStmt:
		l.unusedInDecl(x)
	case *ast.TypeSwitchStmt:
		l.unusedInTypeSwitch(x)
	}
}

func (l *Editor) unusedInAssign(x *ast.AssignStmt) {
	l.discard(x, x.Lhs, x.TokPos, func() {
		for _, e := range x.Lhs {
			if id, ok := e.(*ast.Ident); ok && l.Unused[l.Info.Defs[id]] {
				l.use(x, id.Name)
			}
		}
	})
}

func (l *Editor) unusedInRange(x *ast.RangeStmt) {
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
			if id, ok := e.(*ast.Ident); ok && l.Unused[l.Info.Defs[id]] {
				l.Insert(x.Body.Lbrace+1, "_ = "+id.Name+";")
			}
		}
	})
}

// discard replaces variables that are never mentioned again by blanks; otherwise it calls mention.
func (l *Editor) discard(n ast.Node, lhs []ast.Expr, tok token.Pos, mention func()) {
	any, all, again := false, true, false
	for _, e := range lhs {
		id, ok := e.(*ast.Ident)
		if !ok {
			return
		}
		o := l.Info.Defs[id]
		if o != nil && l.Unused[o] {
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
		if id := e.(*ast.Ident); l.Unused[l.Info.Defs[id]] {
			l.Replace(id.Pos(), id.End(), "_")
		}
	}
	if all {
		l.Replace(tok, tok+2, "=")
	}
}

func (l *Editor) mentioned(o types.Object) bool {
	for _, used := range l.Info.Uses {
		if used == o {
			return true
		}
	}
	return false
}

// use mentions a variable behind the statement that defines it, or where the block begins that the statement heads.
func (l *Editor) use(s ast.Stmt, name string) {
	switch p := l.Parent(1).(type) {
	case *ast.IfStmt:
		l.Insert(p.Body.Lbrace+1, "_ = "+name+";")
	case *ast.ForStmt:
		l.Insert(p.Body.Lbrace+1, "_ = "+name+";")
	case *ast.SwitchStmt:
		if len(p.Body.List) > 0 {
			l.Insert(p.Body.List[0].(*ast.CaseClause).Colon+1, "_ = "+name+";")
		}
	case *ast.TypeSwitchStmt:
		if len(p.Body.List) > 0 {
			l.Insert(p.Body.List[0].(*ast.CaseClause).Colon+1, "_ = "+name+";")
		}
	case *ast.CommClause:
		if p.Comm == s {
			l.Insert(p.Colon+1, "_ = "+name+";")
		} else {
			l.Insert(s.End(), "; _ = "+name)
		}
	default:
		l.Insert(s.End(), "; _ = "+name)
	}
}

func (l *Editor) unusedInDecl(x *ast.DeclStmt) {
	d, ok := x.Decl.(*ast.GenDecl)
	if !ok || d.Tok != token.VAR {
		return
	}
	for _, spec := range d.Specs {
		for _, id := range spec.(*ast.ValueSpec).Names {
			if l.Unused[l.Info.Defs[id]] {
				l.Insert(x.End(), "; _ = "+id.Name)
			}
		}
	}
}

func (l *Editor) unusedInTypeSwitch(x *ast.TypeSwitchStmt) {
	a, ok := x.Assign.(*ast.AssignStmt)
	if !ok || len(a.Lhs) != 1 {
		return
	}
	id := a.Lhs[0].(*ast.Ident)
	for _, clause := range x.Body.List {
		if o := l.Info.Implicits[clause]; o != nil && l.mentioned(o) {
			return
		}
	}
	l.Replace(id.Pos(), a.Rhs[0].Pos(), "")
}
