package goeval

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"strings"

	"github.com/loupeml/loupe/kernel/toolchain"
)

// kind says what an item of a cell is, and so in which form the interpreter takes it.
type kind int

const (
	importItem kind = iota
	typeItem        // type and const declarations
	funcItem        // a function without a receiver and without type parameters
	methodItem      // any other function declaration
	varItem
	stmtItem
)

// text is the source of a cell, with the number by which positions name it.
type text struct {
	number int
	source string
	name   string // of the file that it comes from; empty for a cell
	past   string // the source with other names for what earlier cells gave, as long; empty where there are none
}

// code is what is parsed.
func (t *text) code() string { return cmp.Or(t.past, t.source) }

// item is one import, declaration or statement at the top level of a cell.
type item struct {
	text       *text
	kind       kind
	start, end int // byte offsets in the cell; end is behind the last token
	lead       int // where the comment that belongs to the item starts; start where there is none
	decl       ast.Decl
	stmt       ast.Stmt
	file       *token.File
	base       int              // offset of the item's text in its parsed file
	from, to   token.Pos        // of an item that is one of several in its parsed file; 0 of others
	defines    []string         // top-level names
	embeds     []*embedding     // by //go:embed lines
	embed      *toolchain.Embed // the files of these; nil where there are none
	tuple      []ast.Expr       // of several expressions, which the statement then is a call with
	unresolved []*ast.Ident     // names from outside the item
	qualifiers map[string]bool  // those of them that stand before a dot
}

// offset turns a position of the item's syntax tree into a byte offset in the cell.
func (it *item) offset(p token.Pos) int {
	return min(max(it.file.Offset(p)-it.base+it.start, it.start), it.end)
}

// holds reports whether a position is one of the item's syntax tree.
func (it *item) holds(p token.Pos) bool {
	if it.from.IsValid() {
		return p >= it.from && p <= it.to
	}
	return int(p) >= it.file.Base() && int(p) <= it.file.Base()+it.file.Size()
}

// syntaxError is a fault at a place of the cell, found before anything has run.
type syntaxError struct {
	offset  int
	message string
	open    bool // what fails is the header of a for, if or switch whose block has not begun
}

func (e *syntaxError) Error() string { return e.message }

type lexeme struct {
	offset, end int
	lead        int // where the comment starts that stands directly before it
	tok         token.Token
	lit         string
}

// scan returns the cell's tokens, the automatic semicolons included.
func scan(src string) ([]lexeme, *syntaxError) {
	var s scanner.Scanner
	var bad *syntaxError
	file := token.NewFileSet().AddFile("", 1, len(src))
	s.Init(file, []byte(src), func(pos token.Position, msg string) {
		if bad == nil {
			bad = &syntaxError{offset: pos.Offset, message: msg}
		}
	}, scanner.ScanComments)
	var out []lexeme
	lead, last := -1, 0 // the start and end of the comments before the next token
	for {
		pos, tok, lit := s.Scan()
		if bad != nil {
			return nil, bad
		}
		if tok == token.EOF {
			return out, nil
		}
		length := len(lit)
		if lit == "" {
			length = len(tok.String())
		}
		offset := file.Offset(pos)
		if tok == token.SEMICOLON {
			length = 0
		} else if tok == token.STRING && strings.HasPrefix(src[offset:], "`") {
			// The scanner drops carriage returns from raw strings.
			length = strings.IndexByte(src[offset+1:], '`') + 2
		}
		if lead >= 0 && strings.Count(src[last:offset], "\n") > 1 {
			lead = -1
		}
		if tok == token.COMMENT {
			if lead < 0 {
				lead = offset
			}
			if strings.HasPrefix(lit, "/*") {
				// The scanner drops carriage returns from comments.
				length = strings.Index(src[offset+2:], "*/") + 4
			}
			last = offset + length
			continue
		}
		l := lexeme{offset, offset + length, offset, tok, lit}
		if lead >= 0 && tok != token.SEMICOLON {
			l.lead, lead = lead, -1
		}
		out = append(out, l)
	}
}

// split takes a cell apart into its imports, declarations and statements, which may stand in any order.
func split(fset *token.FileSet, t *text) ([]*item, *syntaxError) {
	lexemes, bad := scan(t.code())
	if bad != nil {
		return nil, bad
	}
	var items []*item
	for i := 0; i < len(lexemes); {
		if lexemes[i].tok == token.SEMICOLON {
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
func takeItem(fset *token.FileSet, t *text, lexemes []lexeme, i int) (*item, int, *syntaxError) {
	isDecl := startsDecl(lexemes[i:])
	// A semicolon outside all brackets ends an item, but those in the header of a for, if or switch do
	// not: there the first one counts before which the text parses.
	header := false
	switch lexemes[i].tok {
	case token.FOR, token.IF, token.SWITCH, token.SELECT:
		header = true
	case token.IDENT:
		header = i+1 < len(lexemes) && lexemes[i+1].tok == token.COLON
	}
	depth := 0
	block := false
	var first *syntaxError
	for j := i; j <= len(lexemes); j++ {
		if j < len(lexemes) {
			switch lexemes[j].tok {
			case token.LPAREN, token.LBRACE, token.LBRACK:
				block = block || depth == 0 && lexemes[j].tok == token.LBRACE
				depth++
			case token.RPAREN, token.RBRACE, token.RBRACK:
				depth--
			}
			if lexemes[j].tok != token.SEMICOLON || depth > 0 {
				continue
			}
		}
		it, err := parseItem(fset, t, lexemes[i].offset, lexemes[j-1].end, isDecl)
		if err == nil {
			it.lead = lexemes[i].lead
			return it, j, nil
		}
		if err.message == "expected 1 expression" && j == len(lexemes) || j < len(lexemes) &&
			err.message == "expected 1 expression" && onlySemicolons(lexemes[j:]) {
			if it, ok := parseTuple(fset, t, lexemes[i].offset, lexemes[j-1].end); ok {
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
	first.open = header && !block
	return nil, 0, first
}

func onlySemicolons(l []lexeme) bool {
	for _, x := range l {
		if x.tok != token.SEMICOLON {
			return false
		}
	}
	return true
}

// parseTuple parses several expressions, whose values are shown together.
func parseTuple(fset *token.FileSet, t *text, start, end int) (*item, bool) {
	const before = "package p;func _(){_("
	file, err := parser.ParseFile(fset, "", before+t.code()[start:end]+"\n,)}", 0)
	if err != nil {
		file, err = parser.ParseFile(fset, "", before+t.code()[start:end]+")}", 0)
	}
	if err != nil {
		return nil, false
	}
	it := &item{text: t, start: start, end: end, lead: start, base: len(before), kind: stmtItem,
		file: fset.File(file.Package)}
	it.noteNames(file)
	it.stmt = file.Decls[0].(*ast.FuncDecl).Body.List[0]
	it.tuple = it.stmt.(*ast.ExprStmt).X.(*ast.CallExpr).Args
	return it, true
}

// startsDecl reports whether the lexemes begin a declaration that cannot stand among statements, or a
// var, const or type declaration, which could but is treated as one.
func startsDecl(l []lexeme) bool {
	switch l[0].tok {
	case token.IMPORT, token.TYPE, token.VAR, token.CONST:
		return true
	case token.FUNC:
		if len(l) < 2 {
			return false
		}
		if l[1].tok == token.IDENT {
			return true
		}
		// func (t T) M(…): behind the first parenthesis come a name and another parenthesis.
		depth := 0
		for k := 1; k < len(l); k++ {
			switch l[k].tok {
			case token.LPAREN:
				depth++
			case token.RPAREN:
				if depth--; depth == 0 {
					return k+2 < len(l) && l[k+1].tok == token.IDENT && l[k+2].tok == token.LPAREN
				}
			}
		}
	}
	return false
}

// parseItem parses src[start:end] as a declaration or as one statement.
func parseItem(fset *token.FileSet, t *text, start, end int, isDecl bool) (*item, *syntaxError) {
	before, after := "package p;func _(){", "\n}"
	if isDecl {
		before, after = "package p;", "\n"
	}
	it := &item{text: t, start: start, end: end, lead: start, base: len(before)}
	file, err := parser.ParseFile(fset, "", before+t.code()[start:end]+after, 0)
	if err != nil {
		e := &syntaxError{offset: start, message: err.Error()}
		if list, ok := err.(scanner.ErrorList); ok && len(list) > 0 {
			e.message = list[0].Msg
			e.offset = min(max(list[0].Pos.Offset-len(before)+start, start), end)
		}
		return nil, e
	}
	it.file = fset.File(file.Package)
	it.noteNames(file)
	if isDecl {
		if len(file.Decls) != 1 {
			return nil, &syntaxError{offset: start, message: "expected one declaration"}
		}
		it.decl = file.Decls[0]
		it.classifyDecl()
		return it, nil
	}
	body := file.Decls[0].(*ast.FuncDecl).Body.List
	if len(file.Decls) != 1 || len(body) != 1 {
		return nil, &syntaxError{offset: start, message: fmt.Sprintf("expected one statement, found %d", len(body))}
	}
	it.kind, it.stmt = stmtItem, body[0]
	if assign, ok := it.stmt.(*ast.AssignStmt); ok && assign.Tok == token.DEFINE {
		for _, lhs := range assign.Lhs {
			if name, ok := lhs.(*ast.Ident); ok && name.Name != "_" {
				it.defines = append(it.defines, name.Name)
			}
		}
	}
	return it, nil
}

func (it *item) classifyDecl() {
	switch d := it.decl.(type) {
	case *ast.FuncDecl:
		it.kind = methodItem
		if d.Recv == nil {
			it.defines = []string{d.Name.Name}
			if d.Type.TypeParams == nil && d.Body != nil && d.Name.Name != "init" {
				it.kind = funcItem
			}
		}
	case *ast.GenDecl:
		switch d.Tok {
		case token.IMPORT:
			it.kind = importItem
		case token.VAR:
			it.kind = varItem
		default:
			it.kind = typeItem
		}
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.Name != "_" {
						it.defines = append(it.defines, name.Name)
					}
				}
			case *ast.TypeSpec:
				it.defines = append(it.defines, s.Name.Name)
			}
		}
	}
}

// importPaths returns what an import declaration imports.
func (it *item) importPaths() []string {
	if it.kind != importItem {
		return nil
	}
	var out []string
	for _, spec := range it.decl.(*ast.GenDecl).Specs {
		if path := strings.Trim(spec.(*ast.ImportSpec).Path.Value, "\"`"); path != "C" {
			out = append(out, path)
		}
	}
	return out
}

// noteNames notes which names from elsewhere the item mentions.
func (it *item) noteNames(file *ast.File) {
	it.unresolved = file.Unresolved
	it.qualifiers = map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				it.qualifiers[x.Name] = true
			}
		}
		return true
	})
}
