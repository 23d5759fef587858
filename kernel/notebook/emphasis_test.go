package notebook

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	gmtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// The page is the one that goldmark's own emphasis gives.
func TestEmphasisIsGoldmarks(t *testing.T) {
	theirs := goldmark.New(goldmark.WithExtensions(extension.GFM))
	ours := goldmark.New(
		goldmark.WithExtensions(extension.Linkify, extension.Table, extension.TaskList),
		goldmark.WithParserOptions(parser.WithInlineParsers(util.Prioritized(runParser{}, 400)),
			parser.WithASTTransformers(util.Prioritized(emphasizer{}, 100))),
		goldmark.WithRenderer(theirs.Renderer()),
	)
	pieces := []string{"*", "*", "**", "***", "_", "__", "~", "~~", "~~~", "a", "b c", " ", "[", "](u)", "!", "\\", "`",
		"\n", "(", ".", "ü"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		var source strings.Builder
		for range 1 + random.IntN(14) {
			source.WriteString(pieces[random.IntN(len(pieces))])
		}
		var want, got bytes.Buffer
		if err := theirs.Convert([]byte(source.String()), &want); err != nil {
			t.Fatal(err)
		}
		if err := ours.Convert([]byte(source.String()), &got); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Fatalf("%q gives\n%swant\n%s", source.String(), got.String(), want.String())
		}
	}
}

// Twice the text takes twice the steps, whatever its runs are.
func TestEmphasisIsLinear(t *testing.T) {
	plain := goldmark.New(goldmark.WithParserOptions(parser.WithInlineParsers(util.Prioritized(runParser{}, 400))))
	looks := func(source string) int {
		return emphasize(plain.Parser().Parse(gmtext.NewReader([]byte(source))))
	}
	for _, piece := range []string{"*a_ ", "_a* ", "*a ", "a* ", "**a_b*c__ ", "*a**b", "~a_ *b~~ ", "*_a", "a***b_*",
		"[*a_](u) *b_ ", "*a_\n"} {
		const n = 2000
		once, twice := looks(strings.Repeat(piece, n)), looks(strings.Repeat(piece, 2*n))
		if once < n || twice > 2*once+100 {
			t.Errorf("%q: %d looks, and %d for twice the text", piece, once, twice)
		}
	}
}
