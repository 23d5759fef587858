package goeval

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"strings"
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

// item is one import, declaration or statement at the top level of a cell.
type item struct {
	kind       kind
	start, end int // byte offsets in the cell; end is behind the last token
	decl       ast.Decl
	stmt       ast.Stmt
	fset       *token.FileSet
	base       int             // offset of the item's text in its parsed file
	defines    []string        // top-level names
	unresolved []*ast.Ident    // names from outside the item
	qualifiers map[string]bool // those of them that stand before a dot
}

// offset turns a position of the item's syntax tree into a byte offset in the cell.
func (it *item) offset(p token.Pos) int {
	return it.fset.PositionFor(p, false).Offset - it.base + it.start
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
	}, 0)
	var out []lexeme
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
		out = append(out, lexeme{offset, offset + length, tok, lit})
	}
}

// split takes a cell apart into its imports, declarations and statements, which may stand in any order.
func split(src string) ([]*item, *syntaxError) {
	lexemes, bad := scan(src)
	if bad != nil {
		return nil, bad
	}
	var items []*item
	for i := 0; i < len(lexemes); {
		if lexemes[i].tok == token.SEMICOLON {
			i++
			continue
		}
		it, next, err := takeItem(src, lexemes, i)
		if err != nil {
			return nil, err
		}
		items = append(items, it)
		i = next
	}
	return items, nil
}

// takeItem parses the item that starts at lexeme i and returns the lexeme behind it.
func takeItem(src string, lexemes []lexeme, i int) (*item, int, *syntaxError) {
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
		it, err := parseItem(src, lexemes[i].offset, lexemes[j-1].end, isDecl)
		if err == nil {
			return it, j, nil
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
func parseItem(src string, start, end int, isDecl bool) (*item, *syntaxError) {
	before, after := "package p;func _(){", "\n}"
	if isDecl {
		before, after = "package p;", "\n"
	}
	it := &item{start: start, end: end, fset: token.NewFileSet(), base: len(before)}
	text := before + src[start:end] + after
	file, err := parser.ParseFile(it.fset, "", text, parser.DeclarationErrors)
	if err != nil {
		e := &syntaxError{offset: start, message: err.Error()}
		if list, ok := err.(scanner.ErrorList); ok && len(list) > 0 {
			e.message = list[0].Msg
			e.offset = min(max(list[0].Pos.Offset-len(before)+start, start), end)
		}
		return nil, e
	}
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

// order puts imports first and every function, type and constant as early as the variables that it
// mentions allow, so that a cell may use what it declares further down. Statements and
// variables keep their order.
func order(items []*item) []*item {
	definedBy := map[string]int{} // name to item
	for i, it := range items {
		for _, name := range it.defines {
			definedBy[name] = i
		}
	}
	// after[i] is the number of statements and variables of the cell that item i has to wait for.
	after := make([]int, len(items))
	rank := make([]int, len(items)) // position among statements and variables
	n := 0
	for i, it := range items {
		if it.kind == stmtItem || it.kind == varItem {
			n++
			rank[i] = n
			after[i] = n
		}
	}
	for changed := true; changed; {
		changed = false
		for i, it := range items {
			if it.kind == stmtItem || it.kind == varItem || it.kind == importItem {
				continue
			}
			for _, id := range it.unresolved {
				if j, ok := definedBy[id.Name]; ok && j != i && after[j] > after[i] && j < i {
					after[i], changed = after[j], true
				}
			}
		}
	}
	var out []*item
	for _, it := range items {
		if it.kind == importItem {
			out = append(out, it)
		}
	}
	for wait := 0; wait <= n; wait++ {
		for i, it := range items {
			if rank[i] == wait && wait > 0 {
				out = append(out, it)
			}
		}
		for i, it := range items {
			if rank[i] == 0 && it.kind != importItem && after[i] == wait {
				out = append(out, it)
			}
		}
	}
	return out
}
