package goeval

import (
	"go/token"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/lines"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// IsComplete answers whether a cell can run as it stands. It looks at the text only. Where it cannot
// tell it calls input incomplete, since a person can always type an empty line, and nobody can
// take back a cell that ran too early.
func IsComplete(source string) (engine.Completeness, string) {
	if _, _, ok := lines.Question(source); ok {
		return engine.Complete, ""
	}
	source = magicForms.OnlyGo(source)
	lexemes, bad := lexical.Scan(source)
	if bad != nil {
		if strings.Contains(bad.Message, "not terminated") && (strings.Contains(bad.Message, "raw string") ||
			strings.Contains(bad.Message, "comment")) {
			return engine.Incomplete, ""
		}
		return engine.Invalid, ""
	}
	depth := lexical.Depth(lexemes)
	var last token.Token
	for _, l := range lexemes {
		if l.Tok != token.SEMICOLON || l.Lit != "\n" {
			last = l.Tok
		}
	}
	indent := strings.Repeat("\t", max(depth, 0))
	switch {
	case depth > 0:
		return engine.Incomplete, indent
	case depth < 0:
		return engine.Invalid, ""
	case len(lexemes) == 0:
		return engine.Complete, ""
	}
	if last.IsOperator() {
		switch last {
		case token.RPAREN, token.RBRACE, token.RBRACK, token.SEMICOLON, token.INC, token.DEC, token.ELLIPSIS:
		default:
			return engine.Incomplete, indent
		}
	}
	if lexical.IsProgram(source) {
		return engine.Complete, ""
	}
	source = lexical.BlankPackageClause(source)
	if _, bad := syntax.Split(token.NewFileSet(), &syntax.Text{Source: source}); bad != nil {
		if bad.Open || strings.TrimSpace(source[min(bad.Offset, len(source)):]) == "" {
			return engine.Incomplete, indent
		}
		return engine.Invalid, ""
	}
	return engine.Complete, ""
}
