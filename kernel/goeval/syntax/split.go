// Package syntax takes a cell's source apart into imports, declarations and statements, which may stand in any order,
// with what the text alone tells of each: the names that it defines and mentions, and the files that it embeds.
package syntax

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/toolchain"
)

// Kind says what an item of a cell is, and so in which form the interpreter takes it.
type kind int

const (
	ImportItem kind = iota
	TypeItem        // type and const declarations
	FuncItem        // a function without a receiver and without type parameters
	MethodItem      // any other function declaration
	VarItem
	StmtItem
)

// Text is the source of a cell, with the number by which positions name it.
type Text struct {
	Number int
	Source string
	Name   string // of the file that it comes from; empty for a cell
	Past   string // the source with other names for what earlier cells gave, as long; empty where there are none
}

// code is what is parsed.
func (t *Text) code() string { return cmp.Or(t.Past, t.Source) }

// Item is one import, declaration or statement at the top level of a cell.
type Item struct {
	Text       *Text
	Kind       kind
	Start, End int // byte offsets in the cell; end is behind the last token
	Lead       int // where the comment that belongs to the item starts; start where there is none
	Decl       ast.Decl
	Stmt       ast.Stmt
	File       *token.File
	base       int              // offset of the item's text in its parsed file
	from, to   token.Pos        // of an item that is one of several in its parsed file; 0 of others
	Defines    []string         // top-level names
	Embeds     []*Embedding     // by //go:embed lines
	Embed      *toolchain.Embed // the files of these; nil where there are none
	Tuple      []ast.Expr       // of several expressions, which the statement then is a call with
	Unresolved []*ast.Ident     // names from outside the item
	Qualifiers map[string]bool  // those of them that stand before a dot
}

// Offset turns a position of the item's syntax tree into a byte offset in the cell.
func (it *Item) Offset(p token.Pos) int {
	return min(max(it.File.Offset(p)-it.base+it.Start, it.Start), it.End)
}

// Holds reports whether a position is one of the item's syntax tree.
func (it *Item) Holds(p token.Pos) bool {
	if it.from.IsValid() {
		return p >= it.from && p <= it.to
	}
	return int(p) >= it.File.Base() && int(p) <= it.File.Base()+it.File.Size()
}

// Split takes a cell apart into its imports, declarations and statements, which may stand in any order.
func Split(fset *token.FileSet, t *Text) ([]*Item, *lexical.Error) {
	lexemes, bad := lexical.Scan(t.code())
	if bad != nil {
		return nil, bad
	}
	var items []*Item
	for i := 0; i < len(lexemes); {
		if lexemes[i].Tok == token.SEMICOLON {
			i++
			continue
		}
		it, next, err := takeItem(fset, t, lexemes, i)
		if err != nil {
			return nil, err
		}
		items = append(items, it)
		i = next
	}
	return items, nil
}

// takeItem parses the item that starts at lexeme i and returns the lexeme behind it.
func takeItem(fset *token.FileSet, t *Text, lexemes []lexical.Lexeme, i int) (*Item, int, *lexical.Error) {
	isDecl := startsDecl(lexemes[i:])
	// A semicolon outside all brackets ends an item, but those in the header of a for, if or switch do
	// not: there the first one counts before which the text parses.
	header := false
	switch lexemes[i].Tok {
	case token.FOR, token.IF, token.SWITCH, token.SELECT:
		header = true
	case token.IDENT:
		header = i+1 < len(lexemes) && lexemes[i+1].Tok == token.COLON
	}
	depth := 0
	block := false
	var first *lexical.Error
	for j := i; j <= len(lexemes); j++ {
		if j < len(lexemes) {
			switch lexemes[j].Tok {
			case token.LPAREN, token.LBRACE, token.LBRACK:
				block = block || depth == 0 && lexemes[j].Tok == token.LBRACE
				depth++
			case token.RPAREN, token.RBRACE, token.RBRACK:
				depth--
			}
			if lexemes[j].Tok != token.SEMICOLON || depth > 0 {
				continue
			}
		}
		it, err := parseItem(fset, t, lexemes[i].Offset, lexemes[j-1].End, isDecl)
		if err == nil {
			it.Lead = lexemes[i].Lead
			return it, j, nil
		}
		if err.Message == "expected 1 expression" && j == len(lexemes) || j < len(lexemes) &&
			err.Message == "expected 1 expression" && onlySemicolons(lexemes[j:]) {
			if it, ok := parseTuple(fset, t, lexemes[i].Offset, lexemes[j-1].End); ok {
				return it, j, nil
			}
		}
		if first == nil {
			first = err
		}
		if !header || j == len(lexemes) {
			break
		}
	}
	first.Open = header && !block
	return nil, 0, first
}

func onlySemicolons(l []lexical.Lexeme) bool {
	for _, x := range l {
		if x.Tok != token.SEMICOLON {
			return false
		}
	}
	return true
}

// parseTuple parses several expressions, whose values are shown together.
func parseTuple(fset *token.FileSet, t *Text, start, end int) (*Item, bool) {
	const before = "package p;func _(){_("
	file, err := parser.ParseFile(fset, "", before+t.code()[start:end]+"\n,)}", 0)
	if err != nil {
		file, err = parser.ParseFile(fset, "", before+t.code()[start:end]+")}", 0)
	}
	if err != nil {
		return nil, false
	}
	it := &Item{Text: t, Start: start, End: end, Lead: start, base: len(before), Kind: StmtItem,
		File: fset.File(file.Package)}
	it.noteNames(file)
	it.Stmt = file.Decls[0].(*ast.FuncDecl).Body.List[0]
	it.Tuple = it.Stmt.(*ast.ExprStmt).X.(*ast.CallExpr).Args
	return it, true
}

// startsDecl reports whether the lexemes begin a declaration that cannot stand among statements, or a
// var, const or type declaration, which could but is treated as one.
func startsDecl(l []lexical.Lexeme) bool {
	switch l[0].Tok {
	case token.IMPORT, token.TYPE, token.VAR, token.CONST:
		return true
	case token.FUNC:
		if len(l) < 2 {
			return false
		}
		if l[1].Tok == token.IDENT {
			return true
		}
		// func (t T) M(…): behind the first parenthesis come a name and another parenthesis.
		depth := 0
		for k := 1; k < len(l); k++ {
			switch l[k].Tok {
			case token.LPAREN:
				depth++
			case token.RPAREN:
				if depth--; depth == 0 {
					return k+2 < len(l) && l[k+1].Tok == token.IDENT && l[k+2].Tok == token.LPAREN
				}
			}
		}
	}
	return false
}

// parseItem parses src[start:end] as a declaration or as one statement.
func parseItem(fset *token.FileSet, t *Text, start, end int, isDecl bool) (*Item, *lexical.Error) {
	before, after := "package p;func _(){", "\n}"
	if isDecl {
		before, after = "package p;", "\n"
	}
	it := &Item{Text: t, Start: start, End: end, Lead: start, base: len(before)}
	file, err := parser.ParseFile(fset, "", before+t.code()[start:end]+after, 0)
	if err != nil {
		e := &lexical.Error{Offset: start, Message: err.Error()}
		if list, ok := err.(scanner.ErrorList); ok && len(list) > 0 {
			e.Message = list[0].Msg
			e.Offset = min(max(list[0].Pos.Offset-len(before)+start, start), end)
		}
		return nil, e
	}
	it.File = fset.File(file.Package)
	it.noteNames(file)
	if isDecl {
		if len(file.Decls) != 1 {
			return nil, &lexical.Error{Offset: start, Message: "expected one declaration"}
		}
		it.Decl = file.Decls[0]
		it.classifyDecl()
		return it, nil
	}
	body := file.Decls[0].(*ast.FuncDecl).Body.List
	if len(file.Decls) != 1 || len(body) != 1 {
		return nil, &lexical.Error{Offset: start, Message: fmt.Sprintf("expected one statement, found %d", len(body))}
	}
	it.Kind, it.Stmt = StmtItem, body[0]
	if assign, ok := it.Stmt.(*ast.AssignStmt); ok && assign.Tok == token.DEFINE {
		for _, lhs := range assign.Lhs {
			if name, ok := lhs.(*ast.Ident); ok && name.Name != "_" {
				it.Defines = append(it.Defines, name.Name)
			}
		}
	}
	return it, nil
}

func (it *Item) classifyDecl() {
	switch d := it.Decl.(type) {
	case *ast.FuncDecl:
		it.Kind = MethodItem
		if d.Recv == nil {
			it.Defines = []string{d.Name.Name}
			if d.Type.TypeParams == nil && d.Body != nil && d.Name.Name != "init" {
				it.Kind = FuncItem
			}
		}
	case *ast.GenDecl:
		switch d.Tok {
		case token.IMPORT:
			it.Kind = ImportItem
		case token.VAR:
			it.Kind = VarItem
		default:
			it.Kind = TypeItem
		}
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.Name != "_" {
						it.Defines = append(it.Defines, name.Name)
					}
				}
			case *ast.TypeSpec:
				it.Defines = append(it.Defines, s.Name.Name)
			}
		}
	}
}

// ImportPaths returns what an import declaration imports.
func (it *Item) ImportPaths() []string {
	if it.Kind != ImportItem {
		return nil
	}
	var out []string
	for _, spec := range it.Decl.(*ast.GenDecl).Specs {
		if path := strings.Trim(spec.(*ast.ImportSpec).Path.Value, "\"`"); path != "C" {
			out = append(out, path)
		}
	}
	return out
}

// noteNames notes which names from elsewhere the item mentions.
func (it *Item) noteNames(file *ast.File) {
	it.Unresolved = file.Unresolved
	it.Qualifiers = map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				it.Qualifiers[x.Name] = true
			}
		}
		return true
	})
}

// Node returns the syntax tree of an item.
func (it *Item) Node() ast.Node {
	if it.Decl != nil {
		return it.Decl
	}
	return it.Stmt
}

// Same reports whether an item has the text of another one, its comment included.
func (it *Item) Same(other *Item) bool {
	return it.Text.Source[it.Lead:it.End] == other.Text.Source[other.Lead:other.End]
}
