package highlight_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/highlight"
)

var letters = map[highlight.Kind]string{highlight.Keyword: "k", highlight.Predeclared: "p", highlight.Call: "c",
	highlight.String: "s", highlight.Number: "n", highlight.Comment: "#", highlight.Magic: "m"}

func TestParts(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"", ""},
		{"x := 1", "x := n[1]"},
		{"func f(x int) string { return \"é\" + `a\nb` } // end",
			"k[func] c[f](x p[int]) p[string] { k[return] s[\"é\"] + s[`a\nb`] } #[// end]"},
		{"fmt.Println (len(s), nil, 'x', 1e3, 2i)", "fmt.c[Println] (p[len](s), p[nil], s['x'], n[1e3], n[2i])"},
		{"/* a\n% b */ y", "#[/* a\n% b */] y"},
		{"s := `\n%x\n!y\n`\n%timeit s", "s := s[`\n%x\n!y\n`]\nm[%timeit s]"},
		{"%%go\nx\n  %time f(1)\n!ls | wc\ny", "m[%%go]\nx\n  m[%time f(1)]\nm[!ls | wc]\ny"},
		{"%%bash\nfor x in 1; do :; done", "m[%%bash\nfor x in 1; do :; done]"},
		{"!=", "!="},
		{"a %\n b", "a %\n b"},
		// Half of a program, and none.
		{"if x { \"abc", "k[if] x { s[\"abc]"},
		{"s := `abc\n", "s := s[`abc]\n"},
		{"/* abc", "#[/* abc]"},
		{"\ufeff§ ⟨ #\x00\xff", "\ufeff§ ⟨ #\x00\xff"},
		{"a\r\nb\r\n", "a\r\nb\r\n"},
	} {
		var got strings.Builder
		for _, p := range highlight.Parts(c.source) {
			if l := letters[p.Kind]; l != "" {
				fmt.Fprintf(&got, "%s[%s]", l, p.Text)
			} else {
				got.WriteString(p.Text)
			}
		}
		if got.String() != c.want {
			t.Errorf("%q gives %q, want %q", c.source, got.String(), c.want)
		}
	}
}

var (
	tags  = regexp.MustCompile(`</?span[^>]*>`)
	codes = regexp.MustCompile("\x1b\\[[0-9;]*m")
)

// Whatever the source is, nothing of it is lost, and no colour goes on in the next line.
func FuzzColours(f *testing.F) {
	for _, source := range []string{"package p\n\nfunc f() { /* a\nb */ x := `c\nd` }\n", "%%go\n`\n%x", "/*\n!a",
		"\"<&>\"", "'\n!x"} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		var all strings.Builder
		for _, p := range highlight.Parts(source) {
			all.WriteString(p.Text)
		}
		if all.String() != source {
			t.Fatalf("the parts of %q are %q", source, all.String())
		}
		if strings.Contains(source, "\x1b") {
			return
		}
		painted := highlight.Terminal(source)
		if plain := codes.ReplaceAllString(painted, ""); plain != source {
			t.Errorf("without its colours %q is %q", source, plain)
		}
		for line := range strings.Lines(painted) {
			if found := codes.FindAllString(line, -1); len(found) > 0 && found[len(found)-1] != "\x1b[0m" {
				t.Errorf("%q goes on in its colour", line)
			}
		}
		if page := tags.ReplaceAllString(highlight.HTML(source), ""); strings.ContainsAny(page, "<>") {
			t.Errorf("%q", page)
		}
	})
}
