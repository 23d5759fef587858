package goeval

import (
	"context"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// A definition that fails has not happened: what had the name before is still there or, where the type
// has changed, is said to be gone rather than replaced by a zero.
func TestFailedDefinitionKeepsWhatWasThere(t *testing.T) {
	for _, c := range []struct{ name, before, failing, after string }{
		{"panic", "x := 41", "func bad() int { panic(1) }\nx := bad()", "41"},
		{"panic in a var", "x := 41", "func bad() int { panic(1) }\nvar x = bad()", "41"},
		{"panic in one of two", "x, y := 41, 1", "func bad() (int, int) { panic(1) }\nx, y := bad()", "41"},
		{"compile error", "x := []string{`a`}", "x := []string{1}", "[a]"},
		{"slices and maps", "x := map[string]int{`a`: 1}", "var m map[string]int\nfunc bad() map[string]int { m[`b`] = 1; return m }\nx := bad()", "map[a:1]"},
		{"another type", "x := 41", "func bad() string { panic(1) }\nx := bad()", "41"},
		{"a var with its type", "x := 41", "func bad() int { panic(1) }\nvar x int = bad()", "41"},
		{"a var with another type", "x := 41", "func bad() string { panic(1) }\nvar x string = bad()", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newInterpreter()
			eval := func(source string) engine.Result {
				return in.Eval(context.Background(), engine.Cell{Number: 1, Source: source})
			}
			if r := eval(c.before); r.Failure != nil {
				t.Fatal(plain(r.Failure.Traceback))
			}
			failed := eval(c.failing)
			if failed.Failure == nil {
				t.Fatalf("%q did not fail", c.failing)
			}
			r := eval("x")
			if c.after == "" {
				if r.Failure == nil || !strings.Contains(r.Failure.Message, "undefined: x") {
					t.Fatalf("x is %+v, want it undefined", r.Value)
				}
				if s := plain(failed.Failure.Traceback); !strings.Contains(s, "x is no longer defined") {
					t.Errorf("the failure does not say that x is gone:\n%s", s)
				}
				return
			}
			if r.Failure != nil || r.Value == nil || r.Value.Data[mime.Text] != c.after {
				t.Errorf("x is %+v, want %s", r, c.after)
			}
		})
	}
}

// yaegi's table of variables is broken after a text that did not compile, until something runs again.
func TestCompletionAfterCompileErrors(t *testing.T) {
	in := newInterpreter()
	in.Eval(context.Background(), engine.Cell{Source: "precious := 42\nx := []string{`a`}"})
	for _, bad := range []string{"x := []string{1}", "n := 1\nfor i := range n { _ = i }", "y := slices.Max(nil)", "var z, w int = `a`, 2", "func f() int { return `s` }", "type T struct { q Q }"} {
		if r := in.Eval(context.Background(), engine.Cell{Source: bad}); r.Failure == nil {
			t.Fatalf("%q did not fail", bad)
		}
		if matches, _, _ := in.Complete("prec", 4); len(matches) != 1 {
			t.Errorf("after %q: %v", bad, matches)
		}
		if b, found := in.Inspect("precious", 3); !found || b.Data[mime.Text] != "precious int\n42" {
			t.Errorf("after %q: %v", bad, b)
		}
	}
}

// Input that is complete never was invalid on the way there: a person who types it line by line is not stopped.
func TestEveryPrefixOfCompleteInputCanGoOn(t *testing.T) {
	for _, source := range []string{
		"x := 1",
		"import (\n\t\"fmt\"\n\tm \"math\"\n)\nfmt.Println(m.Pi)",
		"func f(a int, b ...string) (n int, err error) {\n\tdefer func() { n++ }()\n\treturn a, nil\n}",
		"for i := 0; i < 3; i++ {\n\tif i == 2 {\n\t\tcontinue\n\t} else if i > 5 {\n\t\tbreak\n\t}\n}",
		"switch x := f(); {\ncase x > 1, x < -1:\n\tg()\ndefault:\n}",
		"type T struct {\n\tA, B int `json:\"a\"`\n\tm map[string][]func(int) chan<- bool\n}",
		"func (t *T) Get() int { return t.A }",
		"m := map[string][]int{\"a\": {1, 2}, \"b\": nil}\nm[\"a\"][0]",
		"s := `raw\nstring`; r := 'x' /* c */ // end",
		"select {\ncase v, ok := <-c:\n\t_ = v\ncase c <- 1:\n}",
		"L:\nfor {\n\tbreak L\n}",
		"func g[T any](s []T) T { return s[0] }\ng([]int{1})",
		"go func() { c <- 1 }()",
		"var (\n\ta = 1\n\tb = a + 2\n)",
		"const c = 1 << 3\nx := v.(type_)",
	} {
		for n := range source {
			prefix := source[:n]
			if got, _ := IsComplete(prefix); got == engine.Invalid && !insideQuotes(prefix) {
				t.Errorf("IsComplete(%q) = invalid, but it goes on as %q", prefix, source[n:])
			}
		}
		if got, _ := IsComplete(source); got != engine.Complete {
			t.Errorf("IsComplete(%q) = %s", source, got)
		}
	}
}

// insideQuotes reports whether text ends inside a string or character, which cannot go on in the next line.
func insideQuotes(text string) bool {
	_, bad := scan(text)
	return bad != nil && (strings.Contains(bad.message, "string literal") || strings.Contains(bad.message, "rune literal"))
}
