package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
)

// mutant is a mistake: the text of a file from one place to another, replaced.
type mutant struct {
	Package, File string // the import path, and the name in its folder
	Line          int
	From, To      int    // bytes
	Was, Is       string // the text
}

func (m mutant) String() string {
	short := func(s string) string {
		if r := []rune(s); len(r) > 60 {
			return string(r[:60]) + "…"
		}
		return s
	}
	return fmt.Sprintf("%s/%s:%d: %q becomes %q", filepath.Base(m.Package), m.File, m.Line, short(m.Was), short(m.Is))
}

// operators are what a binary operator may become.
var operators = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL, token.REM: token.MUL,
	token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN, token.MUL_ASSIGN: token.QUO_ASSIGN,
	token.QUO_ASSIGN: token.MUL_ASSIGN,
	token.INC:        token.DEC, token.DEC: token.INC,
}

// mutants are all mistakes that can be made in a package. Some change nothing that can be seen, by what they are:
// p.idle has them.
func (p *pkg) mutants() ([]mutant, error) {
	p.idle = map[mutant]bool{}
	var all []mutant
	for _, name := range p.GoFiles {
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		unread := map[ast.Expr]bool{}
		replace := func(from, to token.Pos, is string) {
			at, end := set.Position(from), set.Position(to)
			all = append(all, mutant{p.ImportPath, name, at.Line, at.Offset, end.Offset, string(text[at.Offset:end.Offset]), is})
		}
		operator := func(at token.Pos, was token.Token) {
			if is, ok := operators[was]; ok {
				replace(at, at+token.Pos(len(was.String())), is.String())
			}
		}
		negate := func(condition ast.Expr) {
			if condition != nil {
				at, end := set.Position(condition.Pos()), set.Position(condition.End())
				replace(condition.Pos(), condition.End(), "!("+string(text[at.Offset:end.Offset])+")")
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				return n.Tok != token.IMPORT
			case *ast.ReturnStmt:
				besideError(n, unread)
			case *ast.BinaryExpr:
				operator(n.OpPos, n.Op)
			case *ast.IfStmt:
				negate(n.Cond)
			case *ast.ForStmt:
				negate(n.Cond)
			case *ast.BasicLit:
				for _, by := range []float64{-1, 1} {
					if is, ok := shifted(n, by); ok {
						replace(n.Pos(), n.End(), is)
						if unread[n] {
							p.idle[all[len(all)-1]] = true
						}
					}
				}
			case *ast.AssignStmt:
				operator(n.TokPos, n.Tok)
				if n.Tok != token.DEFINE {
					replace(n.Pos(), n.End(), "")
				}
			case *ast.IncDecStmt:
				operator(n.TokPos, n.Tok)
				replace(n.Pos(), n.End(), "")
			case *ast.ExprStmt:
				replace(n.Pos(), n.End(), "")
				if call := ofBar(n); call != nil {
					p.idle[all[len(all)-1]] = true
					for _, v := range call.Args {
						unread[v] = true
					}
				}
			case *ast.BranchStmt:
				replace(n.Pos(), n.End(), "")
			}
			return true
		})
	}
	return all, nil
}

// besideError notes the numbers that a statement returns beside an error: nobody reads them.
func besideError(n *ast.ReturnStmt, unread map[ast.Expr]bool) {
	if len(n.Results) < 2 {
		return
	}
	last := n.Results[len(n.Results)-1]
	call, calls := last.(*ast.CallExpr)
	name, named := last.(*ast.Ident)
	if calls {
		f, ok := call.Fun.(*ast.SelectorExpr)
		calls = ok && f.Sel.Name == "Errorf"
	}
	if !calls && !(named && name.Name == "err") {
		return
	}
	for _, v := range n.Results[:len(n.Results)-1] {
		unread[v] = true
	}
}

// ofBar is the call if a statement moves a progress bar on, else nil.
func ofBar(n *ast.ExprStmt) *ast.CallExpr {
	call, _ := n.X.(*ast.CallExpr)
	if call == nil {
		return nil
	}
	if f, ok := call.Fun.(*ast.SelectorExpr); ok {
		if on, ok := f.X.(*ast.Ident); ok && on.Name == "bar" {
			return call
		}
	}
	return nil
}

// shifted is a number one more or less.
func shifted(n *ast.BasicLit, by float64) (string, bool) {
	switch n.Kind {
	case token.INT:
		v, err := strconv.ParseInt(n.Value, 0, 64)
		return strconv.FormatInt(v+int64(by), 10), err == nil
	case token.FLOAT:
		v, err := strconv.ParseFloat(n.Value, 64)
		return strconv.FormatFloat(v+by, 'g', -1, 64), err == nil
	}
	return "", false
}
