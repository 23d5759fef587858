package goeval

import (
	"go/token"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
)

// IsComplete answers whether a cell can run as it stands. It looks at the text only. Where it cannot
// tell it calls input incomplete, since a person can always type an empty line, and nobody can
// take back a cell that ran too early.
func IsComplete(source string) (engine.Completeness, string) {
	if _, _, ok := question(source); ok {
		return engine.Complete, ""
	}
	source = onlyGo(source)
	lexemes, bad := scan(source)
	if bad != nil {
		if strings.Contains(bad.message, "not terminated") && (strings.Contains(bad.message, "raw string") ||
			strings.Contains(bad.message, "comment")) {
			return engine.Incomplete, ""
		}
		return engine.Invalid, ""
	}
	depth := depth(lexemes)
	var last token.Token
	for _, l := range lexemes {
		if l.tok != token.SEMICOLON || l.lit != "\n" {
			last = l.tok
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
	if isProgram(source) {
		return engine.Complete, ""
	}
	source = blankPackageClause(source)
	if _, bad := split(token.NewFileSet(), &text{source: source}); bad != nil {
		if bad.open || strings.TrimSpace(source[min(bad.offset, len(source)):]) == "" {
			return engine.Incomplete, indent
		}
		return engine.Invalid, ""
	}
	return engine.Complete, ""
}
