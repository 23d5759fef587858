// Package lexical looks at the text of a cell as Go's tokens, before and without parsing it.
package lexical

import (
	"go/scanner"
	"go/token"
	"strings"
)

// Error is a fault at a place of the cell, found before anything has run.
type Error struct {
	Offset  int
	Message string
	Open    bool // found by the parser: what fails is the header of a for, if or switch whose block has not begun
}

func (e *Error) Error() string { return e.Message }

// Lexeme is a token of Go, with its place in bytes. Tok and Lit are what go/scanner gives.
type Lexeme struct {
	Offset, End int
	Lead        int // where the comment starts that stands directly before it
	Tok         token.Token
	Lit         string
}

// Scan returns the cell's tokens, the automatic semicolons included.
func Scan(src string) ([]Lexeme, *Error) {
	var s scanner.Scanner
	var bad *Error
	file := token.NewFileSet().AddFile("", 1, len(src))
	s.Init(file, []byte(src), func(pos token.Position, msg string) {
		if bad == nil {
			bad = &Error{Offset: pos.Offset, Message: msg}
		}
	}, scanner.ScanComments)
	var out []Lexeme
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
		l := Lexeme{offset, offset + length, offset, tok, lit}
		if lead >= 0 && tok != token.SEMICOLON {
			l.Lead, lead = lead, -1
		}
		out = append(out, l)
	}
}

// Depth is how many more brackets are opened than closed.
func Depth(lexemes []Lexeme) int {
	n := 0
	for _, l := range lexemes {
		switch l.Tok {
		case token.LPAREN, token.LBRACE, token.LBRACK:
			n++
		case token.RPAREN, token.RBRACE, token.RBRACK:
			n--
		}
	}
	return n
}

// StatementMayBegin reports whether what follows the text begins a statement at the top level of a cell.
func StatementMayBegin(before string) bool {
	lexemes, bad := Scan(before)
	if bad != nil {
		return false
	}
	return Depth(lexemes) == 0 && (len(lexemes) == 0 || lexemes[len(lexemes)-1].Tok == token.SEMICOLON)
}

// IsProgram reports whether a cell is a whole file with a main function.
func IsProgram(source string) bool {
	lexemes, bad := Scan(source)
	if bad != nil || len(lexemes) < 2 || lexemes[0].Tok != token.PACKAGE || lexemes[1].Lit != "main" {
		return false
	}
	for i := 0; i+2 < len(lexemes); i++ {
		if lexemes[i].Tok == token.FUNC && lexemes[i+1].Lit == "main" && lexemes[i+2].Tok == token.LPAREN {
			return true
		}
	}
	return false
}

// BlankPackageClause blanks a leading package clause: the cell's declarations are the notebook's.
func BlankPackageClause(source string) string {
	lexemes, bad := Scan(source)
	if bad != nil || len(lexemes) < 2 || lexemes[0].Tok != token.PACKAGE {
		return source
	}
	return source[:lexemes[0].Offset] + strings.Repeat(" ", lexemes[1].End-lexemes[0].Offset) + source[lexemes[1].End:]
}

// Blanked returns as many bytes and lines, with nothing on them.
func Blanked(text string) string {
	out := []byte(text)
	for i, b := range out {
		if b != '\n' && b != '\r' {
			out[i] = ' '
		}
	}
	return string(out)
}

// Commented makes comments of lines, of the same length, in bytes and in characters.
func Commented(lines string) string {
	var out strings.Builder
	for line := range strings.Lines(lines) {
		text := strings.TrimLeft(line, " \t")
		if len(strings.TrimSpace(text)) < 2 || text[1] >= 0x80 {
			out.WriteString(Blanked(line))
		} else {
			out.WriteString(line[:len(line)-len(text)] + "//" + text[2:])
		}
	}
	return out.String()
}

// WithoutBadTokens blanks what is no token of Go.
func WithoutBadTokens(source string) string {
	for range 100 {
		_, bad := Scan(source)
		if bad == nil {
			return source
		}
		at := min(bad.Offset, len(source))
		end := len(source)
		if line := strings.IndexByte(source[at:], '\n'); line >= 0 {
			end = at + line
		}
		switch {
		case strings.Contains(bad.Message, "raw string") || strings.Contains(bad.Message, "comment"):
			end = len(source)
		case strings.Contains(bad.Message, "rune literal") && strings.IndexByte(source[min(at+1, end):end], '\'') >= 0:
			end = at + strings.IndexByte(source[at+1:end], '\'') + 2
		case strings.Contains(bad.Message, "illegal character"):
			end = at + len(string([]rune(source[at:])[:1]))
		}
		if at >= len(source) || strings.TrimSpace(source[at:end]) == "" {
			return ""
		}
		source = source[:at] + Blanked(source[at:end]) + source[end:]
	}
	return ""
}

// DeclaresMain reports whether Go declares a main function at its top level.
func DeclaresMain(source string) bool {
	lexemes, bad := Scan(source)
	if bad != nil {
		return false
	}
	for i := 0; i+4 < len(lexemes); i++ {
		if lexemes[i].Tok == token.FUNC && lexemes[i+1].Lit == "main" && lexemes[i+2].Tok == token.LPAREN &&
			lexemes[i+3].Tok == token.RPAREN &&
			lexemes[i+4].Tok == token.LBRACE && Depth(lexemes[:i]) == 0 {
			return true
		}
	}
	return false
}
