package goeval

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/assist"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/lib/mime"
)

// partCell is what the cells below are completed and explained with.
const partCell = `type Base struct{ ID int }
func (Base) Touch() {}
func (*Base) Reset() {}
type Inner struct {
	Depth int // how far down
	Label string
}
// Part is a piece of something.
type Part struct {
	Base
	Name string
	Size int
	Inner Inner
	Tags []string
	next *Part
}
func (p *Part) Grow(by int) int { return p.Size + by }
func (p Part) Describe() string { return p.Name }
type Pair[K comparable, V any] struct { Key K; Value V }
p := Part{Name: "first"}
ps := []Part{p}
pm := map[string]Part{"one": p, "two": p}
title, count, ratio := "a", 3, 1.5
lines := make(chan string, 1)
func makePart(n int) Part { return Part{Size: n} }
func add(a, b int, rest ...string) int { return a + b }
func each[T any](list []T, f func(T) bool) {}`

func withParts(t *testing.T) *Evaluator {
	t.Helper()
	in := newEvaluator(t)
	if r := in.Eval(context.Background(), engine.Cell{Number: 1, Source: partCell}); r.Failure != nil {
		t.Fatal(plain(r.Failure.Traceback))
	}
	return in
}

// at takes the cursor, a bar, out of a cell.
func at(t *testing.T, cell string) (source string, cursor int) {
	t.Helper()
	before, after, ok := strings.Cut(cell, "|")
	if !ok {
		t.Fatalf("%q has no cursor", cell)
	}
	return before + after, utf8.RuneCountInString(before)
}

func completed(t *testing.T, in *Evaluator, cell string) (names []string, replaced string) {
	t.Helper()
	source, cursor := at(t, cell)
	matches, start, end := in.Complete(source, cursor)
	for _, m := range matches {
		names = append(names, m.Text)
	}
	return names, string([]rune(source)[start:end])
}

// The likeliest come first.
func TestCompletionOrder(t *testing.T) {
	t.Setenv("LOUPE_TEST_COMPLETION", "here")
	in := withParts(t)
	for _, c := range []struct{ cell, first string }{
		// Fields inside literals, as they are declared.
		{`x := Part{|}`, "Base Name Size Inner Tags next"},
		{`x := Part{|`, "Base Name Size"},
		{`x := &Part{Na|}`, "Name"},
		{`x := Part{Name: "a", |}`, "Base Size Inner Tags next"},
		{`x := Part{Name: "a", |, Size: 3}`, "Base Inner Tags next"},
		{"x := Part{\n\tName: \"a\",\n\t|\n}", "Base Size Inner"},
		{"x := Part{\n\tName: \"a\",\n\tS|\n\tInner: Inner{},\n}\nx.Grow(1)", "Size"},
		{`[]Part{{|`, "Base Name Size"},
		{`[]*Part{{Name: "x"}, {|}}`, "Base Name Size"},
		{`map[string]Part{"a": {|`, "Base Name Size"},
		{`map[string]*Part{"a": {Si|}}`, "Size"},
		{`map[Inner]int{{|`, "Depth Label"},
		{`[...]Part{1: {|}}`, "Base Name"},
		{`x := Part{Inner: Inner{|}}`, "Depth Label"},
		{`x := Part{Inner: Inner{Depth: 1, |`, "Label"},
		{`x := struct{ Alpha, Beta int }{|}`, "Alpha Beta"},
		{`x := Pair[string, int]{|}`, "Key Value"},
		{"add(1, func() int { return makePart(Part{|}.Size).Size }())", "Base Name"},
		{"c := http.Client{\n\tTimeout: 3,\n\t|\n}", "Transport CheckRedirect Jar"},
		// What has the type that is wanted.
		{`x := Part{Size: |}`, "count add"},
		{`x := Part{Name: |}`, "title"},
		{`var n int = |`, "count add"},
		{`add(|`, "count add"},
		{`add(1, |)`, "count add"},
		{`add(1, 2, |)`, "title"},
		{`strings.Repeat(title, |)`, "count add"},
		{`if count == |`, "count add"},
		{`ratio = |`, "ratio"},
		{`title += |`, "title"},
		{`pm[|]`, "title"},
		{`ps[|]`, "count add"},
		{`lines <- |`, "title"},
		{`x := <-|`, "lines"},
		{`for range |`, ""},
		{"func f(short string) string {\n\treturn |\n}", "short title"},
		{"func f() (int, string) {\n\treturn 1, |\n}", "title"},
		{"switch count {\ncase |\n}", "count add"},
		{`var q *Part = &|`, "p makePart"},
		{`x := []int{|}`, "count add"},
		{`ps = append(ps, |)`, "p makePart"},
		{`len(|`, "lines pm ps title"},
		{`make(|`, "Base Inner Pair Part any bool"},
		{`var x |`, "Base Inner Pair Part any"},
		{`func f(q |`, "Base Inner Pair Part any"},
		{`x := []|`, "Base Inner Pair Part any"},
		{`x := map[string]|`, "Base Inner Pair Part any"},
		{`q, ok := any(p).(|`, "Base Inner Pair Part any"},
		{`q, ok := any(p).(strings.|)`, "Builder Reader Replacer"},
		{"switch any(p).(type) {\ncase |\n}", "Base Inner Pair Part any"},
		{"type Whole struct {\n\tparts []|\n}", "Whole Base Inner Pair Part"},
		{"type Whole struct{ *Part; Weight int }\nvar w Whole\nw.|", "Part Weight Base Describe Grow"},
		{`x := map[string]struct{ A, B int }{"a": {A: 1, |`, "B"},
		{`x := []Pair[string, int]{{|`, "Key Value"},
		{"x := Part{ // of the whole\n\tNa|", "Name"},
		{`x := Part{Name: "a", Si|ze: 3}`, "Size"},
		{"func whole() *Part {\n\treturn &Part{|}\n}", "Base Name"},
		{"type Whole struct{ Weight int }\nx := Whole{|}", "Weight"},
		{"switch count {\n\tca|", "cap case"},
		{"defer ma|", "makePart make"},
		{`for i, local := range ps { pm[|`, "title"},
		{`var n int = p.|`, "Size ID Grow"},
		{`var s string = p.|`, "Name Describe"},
		// A value's own members before those of what is embedded.
		{`p.|`, "Base Describe Grow Inner Name Size Tags next ID Reset Touch"},
		{`(&p).|`, "Base Describe Grow"},
		{`ps[0].|`, "Base Describe Grow"},
		{`makePart(1).D|`, "Describe"},
		{`pm["one"].Inner.|`, "Depth Label"},
		{"x := makePart(2)\nx.G|", "Grow"},
		{"func f(q *Part) {\n\tq.G|", "Grow"},
		{"func (i Inner) Sum(q *Part) int {\n\treturn i.|\n}", "Depth Label"},
		{"for _, q := range ps {\n\tif q.|\n}", "Base Describe Grow"},
		{"switch v := any(p).(type) {\ncase Part:\n\tv.|\n}", "Base Describe Grow"},
		{"each(ps, func(q Part) bool {\n\treturn q.|\n})", "Base Describe Grow"},
		{"go p.|", "Describe Grow Reset Touch Base"},
		{"defer p.G|()", "Grow"},
		{"Part.D|", "Describe"},
		{"if x := p.|", "Base Describe"},
		{"x, err := strconv.|", "AppendBool"},
		// Of packages, types where a type is wanted.
		{`var c http.Cl|`, "Client ClientConn CloseNotifier"},
		{`var d time.Duration = time.|`, "Hour"},
		{`rand.IntN|`, "IntN"},
		{`template.HTMLE|`, "HTMLEscape HTMLEscapeString HTMLEscaper"},
		// Faults elsewhere.
		{"p.|\nx := := 3", "Base Describe"},
		{"x := := 3\np.|", "Base Describe"},
		{"fmt.Println(\ny := 2\np.|", "Base Describe"},
		{"x := add(1,\np.Si|", "Size"},
		{"func f(q *Part) {\n\tx := := 3\n\tq.Gr|\n}\nfunc g() {}", "Grow"},
		{"s := \"not closed\np.De|", "Describe"},
		{"if count > 1 {\n\tp.De|\n\n func g() {", "Describe"},
		{"x := undefined(1)\np.De|", "Describe"},
		{"later.D|\n", ""},
		{"var q = makePart(1)\nq.Grow(1\nq.De|", "Describe"},
		// Names of the cell itself come first, the innermost first of all.
		{"func f(co1, co2 int) {\n\tif co3 := 1; co3 > 0 {\n\t\tco|", "co3 co1 co2 count"},
		{"for i := ran|", "range"},
		{"for ran|", "range"},
		{"for i := 0; i < cou|", "count"},
		{"if x := p; x.|", "Base Describe"},
		{"} el|", "else"},
		{`os.Getenv("LOUPE_TEST_COMPL|")`, "LOUPE_TEST_COMPLETION"},
		{`var d time.Duration = |`, "time"},
		{`fmt.Println(|)`, "add count each lines makePart p"},
		{"outer:\nfor {\n\tbreak |\n}", "outer"},
		// In strings.
		{`pm["|`, "one two"},
		{`pm["t|"]`, "two"},
		{`os.Open("inprogress_|")`, "inprogress_linux.go inprogress_other.go"},
		{"import \"net/htt|\"", "net/http"},
		{"import (\n\tweb \"net/htt|", "net/http"},
		{"%cd ..|", "../"},
		{"%cd ../goe|", "goeval/"},
		{"%run inprogress_|", "inprogress_linux.go inprogress_other.go"},
		{"%rm coun|", "count"},
		{"%mod u|", "use"},
		{"!echo $tit|", "title"},
		{"!echo {tit|", "title"},
	} {
		names, _ := completed(t, in, c.cell)
		want := strings.Fields(c.first)
		if len(names) < len(want) || !slices.Equal(names[:len(want)], want) {
			t.Errorf("%q: %v, want %v first", c.cell, names[:min(len(names), len(want)+6)], want)
		}
	}
}

func TestNotCompleted(t *testing.T) {
	in := withParts(t)
	for cell, not := range map[string]string{
		`x := Part{Name: "a", |}`:     "Name count",       // given already; and no value without a key
		`x := Part{p.Base, |}`:        "Size",             // fields are not named here
		`var b strings.Builder; b.|`:  "buf addr",         // of another package
		`x := fo|`:                    "for",              // begins no expression
		`http.Client{Transport: nil|`: "CheckRedirect",    // a value
		`Part.|`:                      "Name Size",        // a type has no fields
		`p.Inner.|`:                   "Grow strings for", // nothing but members behind a dot
		`1.|`:                         "strings p for",
		`nobody.|`:                    "strings p for",
		`// p.|`:                      "Name Base",
		`x := 'p|'`:                   "p ps",
		`%cd complete_t|`:             "complete_test.go",
		`ps[0]|`:                      "p for",
		`p.Grow(1)|`:                  "p for",
		`12|`:                         "p",
	} {
		names, _ := completed(t, in, cell)
		for _, n := range strings.Fields(not) {
			if slices.Contains(names, n) {
				t.Errorf("%q offers %s", cell, n)
			}
		}
	}
}

// What cells gave has members as well, and no name but its own.
func TestCompletionOfWhatCellsGave(t *testing.T) {
	in := withParts(t)
	if r := in.Eval(context.Background(), engine.Cell{Number: 2, Source: "p.Inner"}); r.Failure != nil {
		t.Fatal(plain(r.Failure.Traceback))
	}
	for _, cell := range []string{"Out[2].|", "_.|", "x := Out[2].|\nx"} {
		if names, _ := completed(t, in, cell); !slices.Equal(names, []string{"Depth", "Label"}) {
			t.Errorf("%q: %v", cell, names)
		}
	}
	if names, _ := completed(t, in, "|"); slices.ContainsFunc(names, namespace.IsPast) {
		t.Errorf("names of the check are offered: %v", names)
	}
}

// In the middle of a word the whole word is replaced.
func TestCompletedRange(t *testing.T) {
	in := withParts(t)
	for cell, want := range map[string]string{
		"strings.Repl|ace(title)":               "Replace",
		"strings.|":                             "",
		"ö := \"ü\"\ncoun|":                     "coun",
		"p.Na|":                                 "Na",
		"os.Open(\"../goeval/dialogue|_test.go": "dialogue",
	} {
		if _, replaced := completed(t, in, cell); replaced != want {
			t.Errorf("%q replaces %q, want %q", cell, replaced, want)
		}
	}
}

func TestCompletionKinds(t *testing.T) {
	in := withParts(t)
	for cell, want := range map[string]engine.Match{
		"p.Gro|":               {Text: "Grow", Type: "method", Doc: "func (*Part).Grow(by int) int"},
		"p.Siz|":               {Text: "Size", Type: "field", Doc: "Size int"},
		"coun|":                {Text: "count", Type: "variable", Doc: "count int"},
		"makeP|":               {Text: "makePart", Type: "function", Doc: "func makePart(n int) Part"},
		"Par|":                 {Text: "Part", Type: "type", Doc: "type Part struct"},
		"math.MaxInt8|":        {Text: "MaxInt8", Type: "constant", Doc: "const MaxInt8 untyped int = 127"},
		"appen|":               {Text: "append", Type: "function", Doc: "func append(slice []Type, elems ...Type) []Type"},
		"tru|":                 {Text: "true", Type: "constant", Doc: "const true untyped bool = true"},
		"retur|":               {Text: "return", Type: "keyword"},
		"stringz := 1; strin|": {Text: "stringz", Type: "variable", Doc: "stringz int"},
	} {
		source, cursor := at(t, cell)
		matches, _, _ := in.Complete(source, cursor)
		if len(matches) == 0 || matches[0] != want {
			t.Errorf("%q: %+v, want %+v first", cell, matches[:min(len(matches), 3)], want)
		}
	}
}

// What a string is for is told to who knows the names.
func TestStringPlaces(t *testing.T) {
	in := withParts(t)
	var told assist.StringPlace
	in.options.Strings = func(in assist.StringPlace) ([]engine.Match, bool) {
		told = in
		return []engine.Match{{Text: "this/one", Type: "name"}, {Text: "that", Type: "name"}}, true
	}
	for cell, want := range map[string]string{
		`strings.Contains(title, "th|`:                 "strings  Contains substr [a]",
		`strings.NewReplacer(title, "th|`:              "strings  NewReplacer oldnew [a]",
		`p.Inner.Label = "th|`:                         "",
		`x := http.Cookie{Name: "th|"}`:                "net/http Cookie  Name",
		`x := http.Cookie{Unparsed: []string{"th|"}}`:  "net/http Cookie  Unparsed",
		`must(os.Open("th|"))`:                         "os  Open name",
		"x := strings.NewReader(\"a\")\nx.Reset(\"th|": "strings Reader Reset s",
		"!loupe fetch th|":                             "[loupe fetch]",
	} {
		told = assist.StringPlace{}
		names, _ := completed(t, in, cell)
		got := fmt.Sprint(told.Package, " ", told.Type, " ", told.Function, " ", told.Name)
		switch {
		case want == "":
			if told.Name != "" {
				t.Errorf("%q is told as %+v", cell, told)
			}
			continue
		case strings.HasPrefix(want, "["):
			got = fmt.Sprint(told.Command)
		case strings.HasSuffix(want, "]"):
			got += " " + fmt.Sprint(told.Variables)
		}
		if got != want {
			t.Errorf("%q is told as %q, want %q", cell, got, want)
		}
		if len(names) != 2 || names[1] != "that" {
			t.Errorf("%q: %v", cell, names)
		}
	}
}

// inspected is what is said of the place of the cursor.
func inspected(t *testing.T, in *Evaluator, cell string) string {
	t.Helper()
	source, cursor := at(t, cell)
	b, found := in.Inspect(source, cursor, 0)
	if !found {
		return ""
	}
	return b.Data[mime.Text]
}

func TestSignatures(t *testing.T) {
	in := withParts(t)
	const replace = "func strings.Replace(s string, old string, new string, n int) string\nargument "
	for _, c := range []struct{ cell, begin string }{
		{`strings.Replace(|)`, replace + "1: s string\n\nReplace returns a copy"},
		{`strings.Replace(|`, replace + "1: s string\n\nReplace returns a copy"},
		{`strings.Replace(title,| "b", "c", 1)`, replace + "2: old string"},
		{`strings.Replace(title, "b|", "c", 1)`, replace + "2: old string"},
		{`strings.Replace(title, "b", |"c", 1)`, replace + "3: new string"},
		{`strings.Replace(title, "b", "c", 1|)`, replace + "4: n int"},
		{`strings.Replace(title, "b", "c", 1, |)`, replace + "5: there are only 4"},
		{`strings.Replace(ti|tle, "b", "c", 1)`, replace + "1: s string\n\ntitle string\na\n\nReplace returns"},
		{"strings.Replace(\n\ttitle,\n\t|\n)", replace + "2: old string"},
		{`x := strings.Replace(title, strings.ToUpper(|"b"), "c", 1)`,
			"func strings.ToUpper(s string) string\nargument 1: s string"},
		{`x := strings.Replace(title, strings.ToUpper("b")|, "c", 1)`, replace + "2: old string"},
		{`x := strings.Replace(title, strings.ToU|pper("b"), "c", 1)`, "func strings.ToUpper(s string) string\n\nToUpper " +
			"returns s with all Unicode letters mapped to their upper case.\n\n" + replace + "2: old string"},
		{`strings.Repl|ace(title, "b", "c", 1)`,
			"func strings.Replace(s string, old string, new string, n int) string\n\nReplace returns"},
		{`add(1, 2, "x", |)`, "func add(a int, b int, rest ...string) int\nargument 4: rest ...string\n\nfunc add("},
		{`p.Grow(|)`, "func (*Part).Grow(by int) int\nargument 1: by int\n\nfunc (p *Part) Grow("},
		{"grow := p.Grow\ngrow(|)", "grow func(by int) int\nargument 1: by int"},
		{"table := []func(s string) int{}\ntable[0](|", "func(s string) int\nargument 1: s string"},
		{`func(a, b int) {}(1, |)`, "func(a int, b int)\nargument 2: b int"},
		{`each(ps, |)`, "func each[T any](list []T, f func(T) bool)\nargument 2: f func("},
		{`each[Part](|)`, "func each[T any](list []T, f func(T) bool)\nargument 1: list []Part"},
		{`slices.SortFunc(ps, |)`, "func slices.SortFunc[S ~[]E, E any](x S, cmp func(a E, b E) int)\nargument 2: cmp func("},
		{`append(ps, |)`,
			"func append(slice []Type, elems ...Type) []Type\nargument 2: elems ...Type\n\nThe append built-in"},
		{`make(|)`, "func make(t Type, size ...IntegerType) Type\nargument 1: t Type"},
		{`float64(|count)`, "float64(x): x converted to float64"},
		{`time.Duration(|)`, "time.Duration(x): x converted to time.Duration\ntype Duration int64\n\nA Duration represents"},
		{"if strings.Contains(title, |) {\n\tp.Grow(1)\n}",
			"func strings.Contains(s string, substr string) bool\nargument 2: substr string"},
		{"x := := 3\nstrings.Contains(title, |",
			"func strings.Contains(s string, substr string) bool\nargument 2: substr string"},
		{`add(Part{Size: |}.Size, 2)`, "func add(a int, b int, rest ...string) int\nargument 1: a int"},
		{`strings.Contains(title, "b")|`, "func strings.Contains(s string, substr string) bool\n\nContains reports"},
		{`x := strconv.Atoi(title)|`, "func strconv.Atoi(s string) (int, error)\n\nAtoi is"},
		{`p.Gr|ow`, "func (*Part).Grow(by int) int\n\nfunc (p *Part) Grow("},
		{`x := Inner{Dep|th: 1}`, "Depth int\n\nhow far down"},
		{`x := Part{Si|ze}`, "Size int"},
		{`p.Inner.Dep|th`, "Depth int\n\nhow far down"},
		{`x := http.Client{Time|out: 1}`, "Timeout time.Duration\n\nTimeout specifies a time limit"},
		{`%time|it count`, "%timeit [-n LOOPS]"},
		{`must(os.Open(|))`, "func os.Open(name string) (*os.File, error)\nargument 1: name string"},
	} {
		if got := inspected(t, in, c.cell); !strings.HasPrefix(got, c.begin) {
			t.Errorf("%q:\n%s\nwant it to begin with\n%s", c.cell, got, c.begin)
		}
	}
	for _, cell := range []string{"each(ps, func(q Part) bool {\n\t|\n})", "// strings.Replace(|)", "nobody(|)",
		"x := 3 |", ""} {
		if cell == "" {
			cell = "|"
		}
		if got := inspected(t, in, cell); got != "" {
			t.Errorf("%q: %s", cell, got)
		}
	}
}

// asked is the page that a question opens.
func asked(t *testing.T, in *Evaluator, cell string) string {
	t.Helper()
	r := in.Eval(context.Background(), engine.Cell{Number: 2, Source: cell})
	if r.Failure != nil || r.Page == nil {
		t.Errorf("%s: %+v", cell, r)
		return ""
	}
	return r.Page.Data[mime.Text]
}

func TestQuestions(t *testing.T) {
	in := withParts(t)
	for cell, wants := range map[string][]string{
		"Part?": {"type Part struct", "Fields:\n    Base\n    Name string\n    Size int\n",
			"Methods:\n    Describe() string\n    Grow(by int) int\n",
			"Methods of what is embedded:\n    Reset()\n    Touch()", "// Part is a piece of something."},
		"strings.Builder?": {"type Builder struct\n\nA Builder is used", "Methods:\n    Cap() int\n",
			"Example:\n    var b strings.Builder\n", "// Output: 3...2...1...ignition"},
		"http.Client?": {"Fields:\n    Transport http.RoundTripper\n",
			"Methods:\n    CloseIdleConnections()\n    Do("},
		"bytes.Buffer?": {"Made by:\n    bytes.NewBuffer(buf []byte) *bytes.Buffer\n"},
		"io.Reader?":    {"Methods:\n    Read(p []byte) (n int, err error)"},
		"strings?": {"package strings // import \"strings\"\n\nPackage strings implements",
			"Types:\n    type Builder struct\n", "Functions:\n    func Clone(s string) string\n"},
		"p.Grow?":                    {"func (*Part).Grow(by int) int", "return p.Size + by"},
		"?p":                         {"p Part"},
		"strings.Replace?":           {"func strings.Replace(", "Example:\n    fmt.Println(strings.Replace("},
		"strings.Builder.Len?":       {"func (*strings.Builder).Len() int"},
		"strings.Replace(\"a, b\")?": {"func strings.Replace("},
		"%timeit?":                   {"%timeit [-n LOOPS] [-r REPEATS] STATEMENT\n\nrun a compiled statement"},
		"?%%writefile":               {"%%writefile [-a] FILE"},
		"strings.ToUpper??": {"ToUpper returns s with all", "// strings.go, line",
			"func ToUpper(s string) string {"},
		"strings.Builder??":                   {"type Builder struct {\n"},
		"append?":                             {"func append(slice []Type, elems ...Type) []Type\n\nThe append built-in"},
		"error?":                              {"The error built-in interface type"},
		"n := count + 1\nstrings.ToLower?\nn": {"func strings.ToLower("},
		"Pair?":                               {"type Pair[K comparable, V any] struct", "Key K", "Value V"},
		"Pair[string, int]?":                  {"type Pair[K comparable, V any] struct"},
		"*atomic.Pointer[int]?":               {"type Pointer[T any] struct", "Load() *T"},
		"[]strings.Builder?":                  {"type Builder struct"},
		"&Part{}?":                            {"type Part struct"},
	} {
		got := asked(t, in, cell)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s:\n%s\nwant %q in it", cell, got, want)
			}
		}
	}
}

// Whatever is typed, every place of it has an answer.
func TestEveryPlaceHasAnAnswer(t *testing.T) {
	in := withParts(t)
	const cell = "func f(q *Part, s ...string) (n int) {\n\tfor i, x := range s[1:] {\n\t\tif v, ok := pm[x]; ok && " +
		"v.Size > i {\n\t\t\tn += v.Grow(len(x)) // so\n\t\t}\n\t}\n" +
		"\tswitch any(q).(type) {\n\tcase nil:\n\t\tgo func() { lines <- `ö` }()\n\t}\n\treturn Part{Name: \"a\\\"\", " +
		"Inner: Inner{'x', title}}.Size\n}\nvar m = map[string][]Part{\"k\": {{Size: 1}}}\n%time f(&p)"
	for cursor := range []rune(cell) {
		// What follows is there at every other place only.
		source := cell
		if cursor%2 == 0 {
			source = string([]rune(cell)[:cursor])
		}
		in.Complete(source, cursor)
		in.Inspect(source, cursor, cursor%2)
	}
}
