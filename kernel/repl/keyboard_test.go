package repl

import (
	"slices"
	"testing"
)

// Keys and answers come apart, whatever came in one piece, and what is pasted has lines.
func TestPieces(t *testing.T) {
	for _, c := range []struct {
		title, typed string
		pieces       []string
		left         string
	}{
		{"keys", "ab\r", []string{"a", "b", "\r"}, ""},
		{"an answer in the middle", "a\x1b[12;5Rb", []string{"a", "b"}, ""},
		{"two answers", "\x1b[1;1R\x1b[2;2R", nil, ""},
		{"half an answer", "a\x1b[12;", []string{"a"}, "\x1b[12;"},
		{"an escape", "\x1b", nil, "\x1b"},
		{"half a character", "a\xc3", []string{"a"}, "\xc3"},
		{"keys with Alt", "\x1bb\x1bOP\x1b[1;5Cx", []string{"\x1bb", "\x1bOP", "\x1b[1;5C", "x"}, ""},
		{"an arrow", "\x1b[A", []string{"\x1b[A"}, ""},
		{"what is pasted", "\r\x1b[200~a\rb\r\nc\n\x1b[201~\r", []string{"\r", "\x1b[200~", "a\nb\nc\n", "\x1b[201~", "\r"},
			""},
		{"an answer in what is pasted", "\x1b[200~a\r\x1b[3;4Rb\r\x1b[201~", []string{"\x1b[200~", "a\nb\n", "\x1b[201~"},
			""},
		{"characters of several bytes", "größe\x1b[3;4R", []string{"g", "r", "ö", "ß", "e"}, ""},
	} {
		k := &keyboard{}
		k.held = k.withoutAnswers([]byte(c.typed))
		var pieces []string
		for piece, _ := k.next(); len(piece) > 0; piece, _ = k.next() {
			pieces = append(pieces, string(piece))
			k.held = k.held[len(piece):]
		}
		if !slices.Equal(pieces, c.pieces) || string(k.held) != c.left {
			t.Errorf("%s: %q, left %q; want %q, left %q", c.title, pieces, k.held, c.pieces, c.left)
		}
	}
	takes := 0
	k := &keyboard{sixel: func() { takes++ }}
	if left := string(k.withoutAnswers([]byte("a\x1b[?62;4;22cb\x1b[?62;22cc\x1b[?14c"))); left != "abc" || takes != 1 {
		t.Errorf("left is %q, and it takes sixel %d times", left, takes)
	}
}
