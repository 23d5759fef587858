package goeval

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/toolchain"
	"github.com/loupeml/loupe/lib/assets"
	"github.com/loupeml/loupe/lib/mime"
)

func newEvaluator(t testing.TB) *Evaluator {
	t.Helper()
	shared := tools(t)
	t.Cleanup(func() { shared.Move(testenv.Root()) }) // from the workspace of what %mod got, which is gone then
	return New(Options{
		Toolchain: shared,
		Symbols:   []interp.Exports{stdlib.Symbols},
		Prefer:    map[string]string{"rand": "math/rand", "template": "text/template"},
		Present:   func(v any) mime.Bundle { return mime.TextOf(fmt.Sprint(v)) },
		Describe:  func(v any) string { return fmt.Sprint(v) },
	})
}

// tools returns a toolchain for this test binary, which compiled cells are loaded into.
var tools = func() func(t testing.TB) *toolchain.Toolchain {
	var once sync.Once
	var tools *toolchain.Toolchain
	var err error
	return func(t testing.TB) *toolchain.Toolchain {
		t.Helper()
		once.Do(func() {
			var dir string
			if dir, err = assets.Dir(); err != nil {
				return
			}
			tools, err = toolchain.New(toolchain.Options{Dir: testenv.Root(), Cache: filepath.Join(dir, "cells"),
				Roots: []string{"github.com/loupeml/loupe/kernel/cell/..."}})
			if errors.Is(err, toolchain.ErrNotPrepared) {
				err = tools.Prepare(context.Background(), func(string) {})
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return tools
	}
}()

// A dialogue is a notebook: each cell with what it answers. An answer that starts with "!" is a
// failure whose traceback, colours removed, contains the rest; "" is no value.
type turn struct{ cell, answer string }

func TestDialogues(t *testing.T) {
	t.Setenv("LOUPE_TEST_ENVIRONMENT", "here")
	for _, d := range []struct {
		name  string
		turns []turn
	}{
		{"expression", []turn{{"6*7", "42"}}},
		{"variables stay", []turn{{"x := 20", ""}, {"x += 1", ""}, {"2*x", "42"}}},
		{"a name takes another type", []turn{{"x := 1", ""}, {`x := "one"`, ""}, {"x", "one"}, {"var x = 2.5", ""},
			{"x", "2.5"}}},
		{"several values", []turn{{"func f() (int, string) { return 1, \"a\" }", ""}, {"f()", "1, a"}}},
		{"a nil error is not shown", []turn{{`strconv.Atoi("12")`, "12"}}},
		{"an error fails the cell", []turn{{`strconv.Atoi("zwölf")`, "!invalid syntax"}, {"1", "1"}}},
		{"packages need no import", []turn{{`strings.ToUpper("a") + strconv.Itoa(3)`, "A3"}}},
		{"imports of every form", []turn{{"import (\n\t\"math\"\n\tstr \"strings\"\n)", ""},
			{`str.Repeat("a", int(math.Sqrt(9)))`, "aaa"}}},
		{"unused imports and variables", []turn{{"import \"os\"\na := 1", ""}, {"a", "1"}}},
		{"a function from earlier", []turn{{"func double(n int) int { return 2*n }", ""}, {"double(21)", "42"}}},
		{"old callers see a new body", []turn{{"func f() int { return 1 }\nfunc g() int { return f() }", ""}, {"g()", "1"},
			{"func f() int { return 2 }", ""}, {"g()", "2"}}},
		{"the last values", []turn{{"6*7", "42"}, {"x := 3", ""}, {"_ + x", "45"}, {"_ * __", "1890"},
			{"fmt.Sprint(_, __, ___)", "1890 45 42"}, {"for _, c := range _ { _ = c }\nlen(_)", "10"}}},
		{"values by number", []turn{{"[]int{3, 4}", "[3 4]"}, {"strings.ToUpper(\"a\")", "A"},
			{"Out[1][1] + len(Out[2])", "5"}, {"In[2]", "strings.ToUpper(\"a\")"}, {"func f() int { return Out[1][0] }\nf()",
				"3"}, {"Out[1][0] = 9", ""}, {"f()", "9"}}},
		{"values of own types", []turn{{"type P struct{ n int }\nP{3}", "{3}"}, {"Out[1].n + _.n", "6"},
			{"p := &__\np.n = 5", ""}, {"Out[1].n", "5"}}},
		{"values that are not to be had", []turn{{"x := 1", ""}, {"Out[1]", "!cell 1 has given no value"}, {"1, 2", "1, 2"},
			{"Out[3]", "!cell 3 has given 2 values"}, {"In[9]", "!there is no earlier cell 9"}, {"_", "!cannot use _ as value"},
			{"any(3)", "3"}, {"Out[7].(int)", "!the value of cell 7 is of the interface type any: give it a name"}}},
		{"a value in an error",
			[]turn{{"\"a\"", "a"}, {"_ + 1", "!invalid operation: _ + 1 (mismatched types string and untyped int)"},
				{"Out[1].x", "!Out[1].x undefined"}, {"Out[i]", "!undefined: Out"}}},
		{"other things called Out", []turn{{"7", "7"}, {"Out := []int{5, 6}\nOut[1]", "6"}, {"Out[0] + len(In[1])", "6"},
			{"func g(In []int) int { return In[0] }\ng([]int{8})", "8"}, {"s := struct{ Out []int }{[]int{4}}\ns.Out[0]", "4"}}},
		{"values in interpreted and compiled cells", []turn{{"%engine yaegi\n2.5", "2.5"}, {"%engine go\n_ * 2", "5"},
			{"%engine yaegi\n_ + Out[1]", "7.5"}}},
		{"recursion", []turn{{"func fac(n int) int {\n\tif n < 2 {\n\t\treturn 1\n\t}\n\treturn n * fac(n-1)\n}\nfac(10)",
			"3628800"}}},
		{"mutual recursion", []turn{{"func even(n int) bool { if n == 0 { return true }; return odd(n-1) }\nfunc odd(n " +
			"int) bool { if n == 0 { return false }; return even(n-1) }\neven(10)", "true"}}},
		{"a new signature", []turn{{"func f(a int) int { return a }", ""}, {"func f(a, b string) string { return a + b }",
			""}, {`f("x", "y")`, "xy"}}},
		{"variadic and named results",
			[]turn{{"func sum(ns ...int) (total int) { for _, n := range ns { total += n }; return }", ""},
				{"sum(1, 2, 3)", "6"}}},
		{"a value from the one before", []turn{{"n := 3", ""}, {"n := n + 1", ""}, {"n := n + 1", ""}, {"n", "5"}}},
		{"a var from the one before", []turn{{"x := []int{1, 2}", ""}, {"var x = append(x, 3)", ""}, {"x", "[1 2 3]"}}},
		{"another type from the one before", []turn{{"x := 3", ""}, {"x := strconv.Itoa(x) + \"!\"", ""}, {"x := len(x)", ""},
			{"x", "2"}}},
		{"two from two", []turn{{"a, b := 1, 2", ""}, {"a, b := b, a", ""}, {"a*10 + b", "21"}, {"a, c := a+1, a+2", ""},
			{"a*10 + c", "34"}}},
		{"functions see the new value", []turn{{"x := 3\nfunc g() int { return x }", ""}, {"x := 4", ""}, {"g()", "4"},
			{"var x = 5", ""}, {"g()", "5"}}},
		{"types of one structure stay apart", []turn{{"type A struct{ n int }\nfunc (A) Name() string { return \"A\" " +
			"}\ntype B struct{ n int }\nfunc (B) Name() string { return \"B\" }\nv := A{1}", ""}, {"v.Name()", "A"},
			{"v := B{2}", ""}, {"v.Name()", "B"}}},
		{"an error again and again", []turn{{"x, err := strconv.Atoi(\"3\")", ""}, {"y, err := strconv.Atoi(\"zz\")", ""},
			{"err != nil", "true"}, {"z, err := strconv.Atoi(\"4\")", ""}, {"err == nil", "true"}, {"x + z", "7"}}},
		{"a function value again", []turn{{"n := 1\nf := func(n int) int { return n }", ""},
			{"f := func(n int) int { return f(n) + 1 }", ""}, {"var g = func(n int) int { return -n }", ""}, {"g(2)", "-2"}}},
		{"blank definitions", []turn{{"_, b := 1, 2", ""}, {"b", "2"}, {"var _ = b", ""}, {"_, b := b, b+1", ""},
			{"b", "3"}}},
		{"interfaces keep their type", []turn{{"var w io.Writer = io.Discard", ""},
			{"w := io.Writer(&strings.Builder{})", ""}, {"fmt.Sprintf(\"%T\", w)", "*strings.Builder"}, {"var v any = 1", ""},
			{"v = \"s\"", ""}, {"v", "s"}}},
		{"a parameter has the name of a variable", []turn{{"n, s, err := 3, \"a\", 0", ""},
			{"func f(n int, s string) (m int, err error) { return n + len(s), nil }\nf(1, \"bc\")", "3"}, {"n", "3"}}},
		{"so have parameters of parameters", []turn{{"x, y := 1, 2", ""}, {"func apply(f func(x, y int) (z int), x, y " +
			"int, rest ...int) int { return f(x, y) + len(rest) }\napply(func(x, y int) int { return x * y }, 3, 4, 5)", "13"}}},
		{"used before it is declared", []turn{{"a := f(2)\nfunc f(n int) int { return n * k }\nconst k = 10\na", "20"}}},
		{"a function uses the cell's variables", []turn{{"n := 5\nfunc f() int { return n }\nf()", "5"}, {"n = 6", ""},
			{"f()", "6"}}},
		{"types", []turn{{"type P struct { X, Y int }", ""}, {"p := P{1, 2}\np.X + p.Y", "3"}}},
		{"methods", []turn{{"type P struct { X int }\nfunc (p P) Double() int { return 2*p.X }", ""},
			{"P{4}.Double()", "8"}}},
		{"the same type again", []turn{{"type T struct{ a int }\nT{1}.a", "1"}, {"type T struct{ b int }\nT{1}.b", "1"},
			{"type T struct{ b int }\nT{2}.b", "2"}}},
		{"generic functions", []turn{{"func first[T any](s []T) T { return s[0] }", ""}, {`first([]string{"a", "b"})`, "a"}}},
		{"closures keep variables", []turn{{"n := 0\ninc := func() int { n++; return n }", ""}, {"inc(); inc()", "2"},
			{"n", "2"}}},
		{"control flow", []turn{{"t := 0\nfor i := 0; i < 4; i++ {\n\tif i == 2 {\n\t\tcontinue\n\t}\n\tt += i\n}\nt", "4"}}},
		{"labels", []turn{{"n := 0\nouter:\nfor i := 0; i < 3; i++ {\n\tfor j := 0; j < 3; j++ {\n\t\tif j == 1 " +
			"{\n\t\t\tcontinue outer\n\t\t}\n\t\tn++\n\t}\n}\nn", "3"}}},
		{"switch with a header",
			[]turn{{"s := \"\"\nswitch n := 3; {\ncase n > 2:\n\ts = \"big\"\ndefault:\n\ts = \"small\"\n}\ns", "big"}}},
		{"maps and slices", []turn{{`m := map[string][]int{"a": {1, 2}}`, ""}, {`m["a"] = append(m["a"], 3)`, ""},
			{`len(m["a"])`, "3"}}},
		{"goroutines and channels across cells", []turn{{"c := make(chan int)\ngo func() { c <- 7 }()", ""}, {"<-c", "7"}}},
		{"defer and recover",
			[]turn{{"func safe() (s string) { defer func() { s = fmt.Sprint(recover()) }(); panic(\"no\") }", ""},
				{"safe()", "no"}}},
		{"a call without results", []turn{{"func h() {}\nh()", ""}}},
		{"printing shows no value", []turn{{"fmt.Sprint(1)", "1"}, {`fmt.Fprint(io.Discard, "x")`, ""}}},
		{"a program",
			[]turn{{"package main\n\nimport \"strings\"\n\nvar out string\n\nfunc main() { out = strings.ToUpper(\"ran\") }",
				""}, {"out", "RAN"}}},
		{"init runs at once", []turn{{"var n int\nfunc init() { n = 3 }", ""}, {"n", "3"}}},
		{"comments only", []turn{{"// nothing\n/* here */", ""}}},
		{"several statements on a line", []turn{{"a := 1; b := 2; a + b", "3"}}},
		{"shadowing a package", []turn{{"time := 3", ""}, {"time + 1", "4"}}},
		{"interfaces",
			[]turn{{"type S interface{ Area() int }\ntype Q struct{ w int }\nfunc (q Q) Area() int { return q.w * q.w }\nvar " +
				"s S = Q{3}", ""}, {"s.Area()", "9"}}},
		{"error keeps the namespace", []turn{{"x := 1", ""}, {"x = \"s\"", "!cell 2, line 1"}, {"x", "1"}}},
		{"undefined names say where, before anything runs",
			[]turn{{"n := 1", ""}, {"n = 2\n\tundefinedName(3)", "!undefined: undefinedName"}, {"n", "1"}}},
		{"undefined names suggest", []turn{{"counter := 1", ""}, {"countr + 1", "!did you mean counter"}}},
		{"undefined members of packages suggest",
			[]turn{{`strings.ToUper("a")`, "!undefined: strings.ToUper (did you mean ToUpper"}}},
		{"syntax error", []turn{{"x := := 1", "!cell 1, line 1"}, {"if true {", "!expected"}}},
		{"a panic keeps what came before", []turn{{"a := 1\nvar m map[string]int\na = 2\nm[\"k\"] = 1\na = 3", "!nil map"},
			{"a", "2"}}},
		{"a panic names the line of an earlier cell", []turn{{"func at(s []int, i int) int {\n\treturn s[i]\n}", ""},
			{"at([]int{1}, 4)", "!cell 1, line 2"}}},
		{"panic with a value", []turn{{"panic(\"boom\")", "!boom"}, {"1", "1"}}},
		{"panic with an error", []turn{{"panic(errors.New(\"bad thing\"))", "!bad thing"}}},
		{"nil pointer", []turn{{"type T struct{ n int }\nvar p *T\np.n", "!nil pointer"}}},
		{"division by zero", []turn{{"z := 0\n1 / z", "!divide by zero"}}},
		{"newer Go", []turn{{"max(1, 2)", "2"}, {"n := 0\nfor i := range 3 { n += i }\nn", "3"}}},
		{"generic functions of packages", []turn{{"xs := []int{2, 1}\nslices.Sort(xs)\nxs", "[1 2]"}}},
		{"the environment is the process's", []turn{{`os.Getenv("LOUPE_TEST_ENVIRONMENT")`, "here"}}},
		{"os.Exit keeps the process", []turn{{"n := 1\nos.Exit(3)\nn = 2", "!exit status 3"}, {"n", "1"}}},
		{"unknown package", []turn{{"import \"no/such/package\"", "!package no/such/package is not in std"}}},
		{"blank and tuple assignment", []turn{{"a, b := 1, 2\na, b = b, a\n_ = a", ""}, {"a*10 + b", "21"}}},
		{"struct printing", []turn{{"struct{ A int }{3}", "{3}"}}},
		{"raw strings over lines", []turn{{"s := `a\nb`\nlen(s)", "3"}}},
		{"declarations behind the value", []turn{{"f(6)\nfunc f(n int) int { return 7 * n }\nconst k = 2", "42"},
			{"%engine yaegi\ng(2)\nfunc g(n int) int { return n }", "2"}, {"x := T(3)\nx\ntype T int", "3"},
			{"x\ny := 1", "!is not used"}}},
		{"constants and iota", []turn{{"const (\n\tA = iota\n\tB\n)\nB", "1"}}},
	} {
		t.Run(d.name, func(t *testing.T) {
			in := newEvaluator(t)
			for n, turn := range d.turns {
				r := in.Eval(context.Background(), engine.Cell{Number: n + 1, Source: turn.cell})
				if want, ok := strings.CutPrefix(turn.answer, "!"); ok {
					if r.Failure == nil {
						t.Fatalf("cell %d %q did not fail", n+1, turn.cell)
					}
					if got := plain(r.Failure.Traceback); !strings.Contains(got, want) {
						t.Fatalf("cell %d %q failed with\n%s\nwant %q in it", n+1, turn.cell, got, want)
					}
					continue
				}
				if r.Failure != nil {
					t.Fatalf("cell %d %q failed:\n%s", n+1, turn.cell, plain(r.Failure.Traceback))
				}
				var got string
				if r.Value != nil {
					got = r.Value.Data[mime.Text]
				}
				if got != turn.answer {
					t.Fatalf("cell %d %q = %q, want %q", n+1, turn.cell, got, turn.answer)
				}
			}
		})
	}
}

// plain joins a traceback and removes its colours.
func plain(traceback []string) string {
	s := strings.Join(traceback, "\n")
	for _, code := range []string{"\x1b[31m", "\x1b[36m", "\x1b[0m"} {
		s = strings.ReplaceAll(s, code, "")
	}
	return s
}

func TestFailureNamesLineAndColumn(t *testing.T) {
	in := newEvaluator(t)
	r := in.Eval(context.Background(), engine.Cell{Number: 7, Source: "a := 1\nb := a + qqqqqq"})
	f := r.Failure
	if f == nil || f.Line != 2 || f.Column != 10 || f.Name != "CompileError" {
		t.Fatalf("failure = %+v, want a CompileError at line 2, column 10", f)
	}
	want := "CompileError: undefined: qqqqqq\ncell 7, line 2\n    2 | b := a + qqqqqq\n      |          ^"
	if got := plain(f.Traceback); got != want {
		t.Errorf("traceback:\n%s\nwant:\n%s", got, want)
	}
}

func TestInterruptKeepsVariables(t *testing.T) {
	in := newEvaluator(t)
	for _, loop := range []string{"n := 41\nfor { }", "n := 41\nfor { n = 41 }", "n := 41\nselect {}",
		"n := 41\ntime.Sleep(200 * time.Millisecond); for {}"} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan engine.Result)
		go func() { done <- in.Eval(ctx, engine.Cell{Number: 1, Source: loop}) }()
		cancel()
		if r := <-done; r.Failure == nil || r.Failure.Name != "Interrupted" {
			t.Fatalf("%q: %+v, want Interrupted", loop, r)
		}
	}
	in.Eval(context.Background(), engine.Cell{Source: "n := 41"})
	r := in.Eval(context.Background(), engine.Cell{Number: 2, Source: "n + 1"})
	if r.Value == nil || r.Value.Data[mime.Text] != "42" {
		t.Fatalf("after interrupts: %+v", r)
	}
}

func TestIsComplete(t *testing.T) {
	for source, want := range map[string]engine.Completeness{
		"":                           engine.Complete,
		"x := 1":                     engine.Complete,
		"func f() {":                 engine.Incomplete,
		"f(1,":                       engine.Incomplete,
		"x :=":                       engine.Incomplete,
		"1 +":                        engine.Incomplete,
		"s := `abc":                  engine.Incomplete,
		"/* open":                    engine.Incomplete,
		"a.":                         engine.Incomplete,
		"import \"fmt\"":             engine.Complete,
		"for i := 0; i < 3; i++ { }": engine.Complete,
		"if x":                       engine.Incomplete,
		"x)":                         engine.Invalid,
		"x := \"abc":                 engine.Invalid,
		"i++":                        engine.Complete,
	} {
		if got, _ := IsComplete(source); got != want {
			t.Errorf("IsComplete(%q) = %s, want %s", source, got, want)
		}
	}
	if _, indent := IsComplete("func f() {\n\tif x {"); indent != "\t\t" {
		t.Errorf("indent %q, want two tabs", indent)
	}
}

func TestComplete(t *testing.T) {
	in := newEvaluator(t)
	r := in.Eval(context.Background(), engine.Cell{Source: "type P struct { Width int }\nfunc (p P) Area() int { " +
		"return 1 }\nwidth := 3\np := P{}\nvar b strings.Builder\nfunc widen(n int) int { return n }"})
	if r.Failure != nil {
		t.Fatal(plain(r.Failure.Traceback))
	}
	for _, c := range []struct{ source, want, doc string }{
		{"wid", "width", "width int"},
		{"wid", "widen", "func widen(n int) int"},
		{"strings.ToUp", "ToUpper", "func strings.ToUpper(s string) string"},
		{"x := strings.Repla", "ReplaceAll", ""},
		{"b.WriteStr", "WriteString", ""},
		{"p.Wi", "Width", ""},
		{"stri", "strings", "strings"},
		{"%timei", "%timeit",
			"%timeit [-n LOOPS] [-r REPEATS] STATEMENT: run a compiled statement many times; the mean and the spread"},
		{"%%wri", "%%writefile", ""},
		{"%engine ya", "yaegi", ""},
		{"%run dialogue", "dialogue_test.go", ""},
		{"x := 1\n!ls -l ../goe", "goeval/", ""},
		{"%time wid", "width", ""},
		{"!ls\n%who\nwid", "widen", ""},
		{`os.Open("renew_`, "renew_test.go", ""},
		{`len("a\"b") + wid`, "width", ""},
		{`import "text/tab`, "text/tabwriter", ""},
		{"import (\n\tstr \"strings\"\n\ttw \"text/tab", "text/tabwriter", ""},
		{"// it's a comment\nwid", "width", ""},
		{`url.Parse("a").Por`, "Port", ""},
		{`url.Parse("a").Parse("b").Por`, "Port", ""},
		{"u := url.Parse(\"a\")\nu.Por", "Port", ""},
		{"mus", "must", "func must[T any](value T, err error) T"},
	} {
		matches, start, end := in.Complete(c.source, len(c.source))
		found := false
		for _, m := range matches {
			if m.Text == c.want && (c.doc == "" || m.Doc == c.doc) {
				found = true
			}
		}
		if !found {
			t.Errorf("Complete(%q) = %v, want %s %q among them", c.source, matches, c.want, c.doc)
		}
		if typed := c.source[start:end]; !strings.HasPrefix(strings.ToLower(c.want), strings.ToLower(typed)) {
			t.Errorf("Complete(%q) replaces %q", c.source, typed)
		}
	}
	for source, want := range map[string]string{
		"width": "width int\n3",
		"strings.ToUpper": "func strings.ToUpper(s string) string\n\nToUpper returns s with all Unicode letters mapped to " +
			"their upper case.",
		"must":   "func must[T any](value T, err error) T\n\n" + must.Doc,
		"widen(": "func widen(n int) int\nargument 1: n int\n\nfunc widen(n int) int { return n }",
		"b.Len": "func (*strings.Builder).Len() int\n\nLen returns the number of accumulated bytes; b.Len() == " +
			"len(b.String()).",
	} {
		b, found := in.Inspect(source, len(source), 0)
		if got := b.Data[mime.Text]; !found || got != want {
			t.Errorf("Inspect(%q) = %q, %t, want %q", source, got, found, want)
		}
	}
}
