package syntax

import (
	"go/token"
	"slices"
	"strings"
	"testing"
)

func TestInAnyOrder(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"var a = b\nvar b = 1", "var b = 1|var a = b"},
		{"var a = f()\nfunc f() int { return b }\nvar b = 1", "var b = 1|var a = f()|func f() int { return b }"},
		{"var (\n\ta = b\n\tb = 1\n)", "b = 1|a = b"},
		{"var (\n\ta = 1\n\tb = a\n)", "var (\n\ta = 1\n\tb = a\n)"},
		{"b := 2\nvar a = b\nvar b = 1", "b := 2|var a = b|var b = 1"}, // what stands before it is meant
		{"var a = b\nvar b = a", "var b = a|var a = b"},                // a circle, of which the check tells
		{"a := b\nvar b = 1", "a := b|var b = 1"},                      // statements stay in their order
	} {
		items, err := Split(token.NewFileSet(), &Text{Source: c.source})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, it := range InAnyOrder(items) {
			got = append(got, c.source[it.Start:it.End])
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%q is ordered %q, want %q", c.source, s, c.want)
		}
	}
}

func TestWhatParsesAroundWhatDoesNot(t *testing.T) {
	source := "a := 1\nb := := 2\nfunc f() {\n\tc()\n\tif x {"
	items, failed := SplitWhatParses(token.NewFileSet(), &Text{Source: source})
	var got []string
	for _, it := range items {
		got = append(got, source[it.Start:it.End])
	}
	if want := []string{"a := 1", "func f() {\n\tc()\n\tif x {"}; !slices.Equal(got, want) {
		t.Errorf("parsed %q, want %q", got, want)
	}
	if at := strings.Index(source, "b :="); len(failed) != 1 || failed[0].Start != at ||
		source[failed[0].At:failed[0].At+2] != ":=" {
		t.Errorf("what does not parse is %+v, want what starts at %d", failed, at)
	}
}

func TestEmbedLines(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"//go:embed a.txt \"b c.txt\"\nvar s string", "a.txt b c.txt"},
		{"//go:embed a.txt\n//go:embed b.txt\nvar f embed.FS", "a.txt b.txt"},
		{"//go:embed a.txt\nvar s, t string", "!go:embed cannot apply to multiple vars"},
		{"//go:embed a.txt\nvar s = 1", "!go:embed cannot apply to var with initializer"},
		{"//go:embed \"a.txt\nvar s string", "!invalid quoted string in //go:embed: \"a.txt"},
		{"//go:embed a.txt\nx := 1", "!misplaced go:embed directive"},
		{"//go:embed\nvar s string", "!usage: //go:embed pattern..."},
		{"//go:embedded a.txt\nvar s string", ""},
	} {
		text := &Text{Source: c.source}
		items, err := Split(token.NewFileSet(), text)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range NoteEmbeddings(text, items) {
			got += "!" + f.Message
		}
		for _, it := range items {
			for _, e := range it.Embeds {
				got += strings.Join(e.Patterns, " ")
			}
		}
		if got != c.want {
			t.Errorf("%q embeds %q, want %q", c.source, got, c.want)
		}
	}
}
