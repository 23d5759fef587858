package syntax

import (
	"go/token"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
)

// Unparsed is a piece of a cell that does not parse: where it starts, and where the parser gave up.
type Unparsed struct{ Start, At int }

// SplitWhatParses takes a cell apart as split does. Where a line begins nothing that parses, it goes on with the next.
func SplitWhatParses(fset *token.FileSet, t *Text) (items []*Item, failed []Unparsed) {
	lexemes, bad := lexical.Scan(t.Source)
	if bad != nil {
		return nil, []Unparsed{{0, bad.Offset}}
	}
	for i := 0; i < len(lexemes); {
		if lexemes[i].Tok == token.SEMICOLON {
			i++
			continue
		}
		it, next, err := takeItem(fset, t, lexemes, i)
		if err != nil {
			if it, next = takeUnfinished(fset, t, lexemes, i, err), len(lexemes); it == nil {
				failed = append(failed, Unparsed{lexemes[i].Offset, err.Offset})
				end := len(t.Source)
				if line := strings.IndexByte(t.Source[lexemes[i].Offset:], '\n'); line >= 0 {
					end = lexemes[i].Offset + line
				}
				for i < len(lexemes) && lexemes[i].Offset < end {
					i++
				}
				continue
			}
		}
		items = append(items, it)
		i = next
	}
	return items, failed
}

// takeUnfinished parses the item that starts at lexeme i and in which the text ends; nil where that does not work. err
// is why it does not parse as it stands.
func takeUnfinished(fset *token.FileSet, t *Text, lexemes []lexical.Lexeme, i int, err *lexical.Error) *Item {
	last := lexemes[len(lexemes)-1]
	switch lexemes[i].Tok {
	case token.FOR, token.IF, token.SWITCH:
	default:
		if strings.Contains(t.Source[min(err.Offset, last.Offset):last.Offset], "\n") {
			return nil // what is wrong stands before the end
		}
	}
	var open []string
	for j, l := range lexemes[i:] {
		switch l.Tok {
		case token.LPAREN:
			open = append(open, ")")
		case token.LBRACE:
			open = append(open, "}")
		case token.LBRACK:
			closing := "]"
			if !endsOperand(lexemes[i:], j-1) {
				closing = "]int" // of a type
			}
			open = append(open, closing)
		case token.RPAREN, token.RBRACE, token.RBRACK:
			if len(open) == 0 {
				return nil
			}
			open = open[:len(open)-1]
		case token.SEMICOLON:
			if len(open) == 0 && l.Lit == ";" && lexemes[i].Tok != token.FOR && lexemes[i].Tok != token.IF &&
				lexemes[i].Tok != token.SWITCH {
				return nil
			}
		}
	}
	slices.Reverse(open)
	isDecl := startsDecl(lexemes[i:])
	for _, with := range []string{"", " {}", ":", "()", "; true {}", "; {}", "; ; {}", " int", " _() {}"} {
		for _, closing := range []string{strings.Join(open, ""), "\n" + strings.Join(open, "\n")} {
			whole := &Text{Number: t.Number, Source: t.Source[:last.End] + with + closing, Name: t.Name}
			if it, err := parseItem(fset, whole, lexemes[i].Offset, len(whole.Source), isDecl); err == nil {
				it.Text, it.Lead = t, lexemes[i].Lead
				it.End = min(it.End, len(t.Source))
				return it
			}
		}
	}
	return nil
}

// endsOperand reports whether the lexeme at j ends an operand, so that a bracket behind it is an index.
func endsOperand(lexemes []lexical.Lexeme, j int) bool {
	if j < 0 {
		return false
	}
	switch lexemes[j].Tok {
	case token.IDENT, token.RPAREN, token.RBRACK, token.RBRACE, token.STRING:
		return true
	}
	return false
}
