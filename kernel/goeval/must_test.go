package goeval

import (
	"context"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// The functions that the dialogues about errors call.
const failing = `type box struct{ n int }
func (b box) half() (box, error) {
	if b.n%2 != 0 { return box{}, fmt.Errorf("%d is odd", b.n) }
	return box{b.n / 2}, nil
}
func open(n int) (box, error) { return box{n}, nil }
func two(s string) (int, string, error) { n, err := strconv.Atoi(s); return n, s, err }
func pick[T any](list []T, i int) (T, error) {
	if i >= len(list) { var zero T; return zero, fmt.Errorf("no element %d", i) }
	return list[i], nil
}
func twice(n int) int { return 2*n }`

// Each dialogue goes on both tiers. What only the compiler takes is compiled on either.
func TestErrorsInCells(t *testing.T) {
	for _, d := range []struct {
		name        string
		interpreted bool // on the engine that chooses, the last cell is
		turns       []turn
	}{
		{"in :=", true, []turn{{`n := strconv.Atoi("12")`, ""}, {"n + 1", "13"},
			{`n := strconv.Atoi("zwölf")`, `!Error: strconv.Atoi: parsing "zwölf": invalid syntax`}, {"n", "12"}}},
		{"at its line", true, []turn{{"a := 1\nn := strconv.Atoi(\"x\")\nb := 2",
			"!cell 1, line 2\n    2 | n := strconv.Atoi(\"x\")"}, {"a", "1"}, {"b", "!undefined: b"}, {"a", "1"}}},
		{"in var", true, []turn{{`var n int = strconv.Atoi("12")`, ""},
			{`var a, b = strconv.Atoi("3"), strconv.ParseBool("true")`, ""}, {"a", "3"}}},
		{"in = ", true, []turn{{"n := 1", ""}, {`n = strconv.Atoi("12")`, ""}, {"n", "12"},
			{`n += strconv.Atoi("x")`, "!Error: strconv.Atoi"}, {"n", "12"}}},
		{"as an argument", true, []turn{{`math.Sqrt(strconv.ParseFloat("16", 64))`, "4"},
			{`math.Sqrt(strconv.ParseFloat("no", 64))`, "!Error: strconv.ParseFloat"},
			{`strconv.Itoa(strconv.Atoi("7"))`, "7"}}},
		{"as one of several arguments", true, []turn{{`strings.Repeat("ab", strconv.Atoi("2"))`, "abab"},
			{`fmt.Sprint(strconv.Atoi("1"), strconv.Atoi("2"))`, "1 2"}}},
		{"in := of several", false, []turn{{failing, ""}, {`a, b := two("5")`, ""}, {"a, b", "5, 5"},
			{`c, d := strconv.Atoi("1"), strconv.ParseBool("true")`, ""}, {"c, d", "1, true"},
			{`e, f := strconv.Atoi("1"), strconv.Atoi("x")`, "!Error: strconv.Atoi"}, {"e", "!undefined: e"}}},
		{"in a chain of calls", false, []turn{{failing, ""}, {"open(8).half().half()", "{2}"},
			{"open(6).\n\thalf().\n\thalf().\n\tn", "!Error: 3 is odd\ncell 3, line 3"}, {"open(8).half().n", "4"}}},
		{"in a chain over compiled types", true, []turn{{"url.Parse(\"a\").\n\tParse(\"%zz\").\n\tString()",
			"!Error: parse \"%zz\": invalid URL escape \"%zz\"\ncell 1, line 2"}, {`u := url.Parse("http://a/b?c=d")`, ""},
			{`u.Parse("../x").String()`, "http://a/x"}, {`u.Parse("%zz").String()`, "!Error: parse"},
			{`url.Parse("http://h:80").Port()`, "80"}}},
		{"in a closure", false, []turn{{"f := func(s string) int { return strconv.Atoi(s) }", ""}, {`f("3")`, "3"},
			{`f("x")`, "!invalid syntax\ncell 1, line 1"},
			{"g := func(s string) int {\n\tn := strconv.Atoi(s)\n\treturn n * 2\n}\ng(\"4\")", "8"}}},
		{"in a function", true,
			[]turn{{"func f(s string) int {\n\ta, b, _ := strings.Cut(s, \",\")\n\treturn strconv.Atoi(a) " +
				"+\n\t\tstrconv.Atoi(b)\n}", ""}, {"\nf(\"1,x\")",
				"!invalid syntax\ncell 1, line 4, in f\n    4 |         strconv.Atoi(b)\ncell 2, line 2"},
				{"func f(s string) int {\n\treturn strconv.Atoi(s)\n}", ""}, {`f("3")`, "3"},
				{`f("x")`, "!invalid syntax\ncell 3, line 2, in f"}, {`f("4")`, "4"}}},
		{"in a method", false, []turn{{"type T struct{ s string }\nfunc (t T) Int() int { return strconv.Atoi(t.s) }", ""},
			{`T{"3"}.Int()`, "3"}, {`T{"x"}.Int()`, "!invalid syntax"}}},
		{"_ =", true, []turn{{`_ = strconv.Atoi("3")`, ""}, {`_ = strconv.Atoi("x")`, "!Error: strconv.Atoi"},
			{`_ = strconv.Atoi("3")`, ""}}},
		{"a deliberately ignored error", true, []turn{{`n, _ := strconv.Atoi("x")`, ""}, {"n", "0"},
			{`_, _ = strconv.Atoi("x")`, ""}, {"strconv.Atoi(\"x\")\n1", "1"}, {`os.Remove("no such file")` + "\n2", "2"}}},
		{"the error itself", true, []turn{{`n, err := strconv.Atoi("x")`, ""}, {"err != nil", "true"},
			{"if _, err := strconv.Atoi(\"y\"); err != nil {\n\tn = 7\n}\nn", "7"}}},
		{"a function that gives an error on", true, []turn{{`func f(s string) (int, error) { return strconv.Atoi(s) }`, ""},
			{`n, err := f("x")`, ""}, {"err != nil", "true"}, {`f("3")`, "3"}}},
		{"generics", false, []turn{{failing, ""}, {`s := pick([]string{"a", "b"}, 1)`, ""},
			{`strings.ToUpper(pick([]string{s}, 0))`, "B"}, {"pick([]int{1}, 3) + 1", "!Error: no element 3"},
			{"func sum[T int | float64](list ...T) (s T) { for _, v := range list { s += v }; return " +
				"}\nsum(pick([]float64{1.5}, 0))", "1.5"}, {"func each[T any](list []T, f func(T) int) (n int) { for _, v := " +
				"range list { n += f(v) }; return }\neach([]string{\"1\", \"2\"}, func(s string) int { return strconv.Atoi(s) })",
				"3"}}},
		{"the last value", true, []turn{{`strconv.Atoi("12")`, "12"},
			{"n := 1\nstrconv.Atoi(\n\t\"x\")",
				"!Error: strconv.Atoi: parsing \"x\": invalid syntax\ncell 2, line 2\n    2 | strconv.Atoi("},
			{`errors.New("shown")`, "shown"}, {`n, err := strconv.Atoi("x")` + "\nerr",
				`strconv.Atoi: parsing "x": invalid syntax`}}},
		{"several last values", true, []turn{{failing, ""}, {`two("3")`, "3, 3"}, {`two("x")`, "!Error: strconv.Atoi"},
			{`strconv.Atoi("1"), strconv.Atoi("2")`, "1, 2"}, {`strconv.Atoi("1"), strconv.Atoi("x")`, "!Error: strconv.Atoi"}}},
		{"in statements", true,
			[]turn{{"s := 0\nfor _, v := range os.ReadDir(\".\") { if v.Name() == \"must_test.go\" { s++ } }\ns", "1"},
				{"if strconv.ParseBool(\"true\") { s = 5 }\ns", "5"},
				{"switch strconv.Atoi(\"3\") {\ncase strconv.Atoi(\"3\"):\n\ts = 6\n}\ns", "6"},
				{"c := make(chan int, 1)\nc <- strconv.Atoi(\"8\")\n<-c", "8"},
				{"for i := strconv.Atoi(\"0\"); i < strconv.Atoi(\"3\"); i++ { s++ }\ns", "9"},
				{"defer func() {}()\n[]int{strconv.Atoi(\"1\"), -strconv.Atoi(\"2\")}", "[1 -2]"},
				{"map[string]int{\"a\": strconv.Atoi(\"1\")}[strconv.Unquote(`\"a\"`)]", "1"}}},
		{"conversions and builtins", false, []turn{{`len(os.ReadFile("must_test.go")) > 100`, "true"},
			{`string(os.ReadFile("must_test.go"))[:7]`, "package"}, {`append([]int{1}, strconv.Atoi("2"))`, "[1 2]"},
			{`len(os.ReadFile("none"))`, "!Error: open none"}, {`max(strconv.Atoi("2"), 1)`, "2"}}},
		{"what takes an error gets it", true, []turn{{`fmt.Sprint(strconv.Atoi("1"))`, "1 <nil>"},
			{`fmt.Sprint(strconv.Atoi(strconv.Unquote("\"1\"")))`, "1 <nil>"}, {`fmt.Sprintln(1, strconv.Atoi("2"))`, "1 2\n"}}},
		{"of any number of arguments", false, []turn{{"func total(first int, more ...int) int { for _, m := range more { " +
			"first += m }; return first }\ntotal(strconv.Atoi(\"3\"))", "3"},
			{"func join(s ...string) string { return strings.Join(s, \"+\") }\njoin(strconv.Unquote(`\"a\"`))", "a"}}},
		{"in a goroutine", true, []turn{{"go func() { _ = strconv.Atoi(\"x\") }()\nselect {}", "!Error: strconv.Atoi"},
			{"go must(strconv.Atoi(\"x\"))\nselect {}", "!Error: strconv.Atoi"}, {"1", "1"}}},
		{"recovered from", false, []turn{{"func f() (err error) {\n\tdefer func() { err = recover().(error) }()\n\t_ = " +
			"strconv.Atoi(\"x\")\n\treturn nil\n}\nf().Error()", `strconv.Atoi: parsing "x": invalid syntax`}}},
		{"a function whose results change", false, []turn{{"func f() (int, error) { return 1, nil }\ntype W " +
			"struct{}\nfunc (W) N() int { return g[int]() }\nfunc g[T any]() int { return f() }\nvar w W\nw.N()", "1"},
			{"func f() int { return 5 }", ""}, {"func g[T any]() int { return f() + 1 }\nw.N()", "6"},
			{"func f() (int, error) { return 7, nil }\nfunc g[T any]() int { return f() + 2 }\nw.N()", "9"}}},
		{"what does not fit stays an error", false, []turn{{failing, ""},
			{`a := two("1")`, "!assignment mismatch: 1 variable but two returns 3 values"},
			{`var s string = strconv.Atoi("1")`, "!cannot use strconv.Atoi(\"1\") (value of type int) as string value"},
			{`twice(two("1"))`, "!too many arguments in call to twice"},
			{"x := open(1).none", "!open(1).none undefined (type box has no field or method none)"},
			{"return strconv.Atoi(\"1\")", "!too many return values"},
			{"a, b, c, d := two(\"1\")", "!assignment mismatch: 4 variables but two returns 3 values"}}},
		{"a variable for the error stays one", true, []turn{{failing, ""},
			{`err := os.Create("x")`, "!assignment mismatch: 1 variable but os.Create returns 2 values"},
			{`n, err := two("x")`, "!assignment mismatch: 2 variables but two returns 3 values"},
			{`if err := open(1); true { }`, "!assignment mismatch"}, {`var err = open(1)`, "!multiple-value open(1)"},
			{`n, _ := two("3")`, ""}, {"n", "3"}}},
		{"must", true, []turn{{`must(strconv.Atoi("3")) + 1`, "4"},
			{`must(strconv.Atoi("x"))`, "!Error: strconv.Atoi: parsing \"x\": invalid syntax\ncell 2, line 1"},
			{`x := must(1, nil)`, ""}, {"x", "1"}}},
		{"must of an error alone", true, []turn{{`must(os.Chdir("."))`, ""},
			{`must(os.Chdir("none"))`, "!Error: chdir none: no such file or directory\ncell 2, line 1"},
			{`must(errors.New("mine"))`, "!Error: mine"}, {"must(nil)\n1", "1"}}},
		{"must of several", true, []turn{{failing, ""}, {`a, b := must(two("3"))`, ""}, {"a, b", "3, 3"},
			{`must(two("3"))`, "3, 3"}, {`must(two("x"))`, "!Error"},
			{"func three() (a, b, c int, err error) { return 1, 2, 3, nil }\na, b, c := must(three())\na+b*10+c*100", "321"},
			{"x, y, z := must(1, 2, 3, nil)\nz", "3"}}},
		{"must of its own", true, []turn{{"func must[T any](v T, err error) string { return \"own\" }", ""},
			{`must(strconv.Atoi("3"))`, "own"}, {"%rm must\nmust(strconv.Atoi(\"3\"))", "3"}, {"must := 4", ""},
			{"must + 1", "5"}}},
		{"must as a value", false, []turn{{"f := must[int]\nf(3, nil)", "3"},
			{"func g(must func(int) int) int { return must(3) }\ng(func(n int) int { return n + 1 })", "4"}}},
		{"a wrong must", false, []turn{{`must(strconv.Itoa(3))`, "!cannot use strconv.Itoa(3)"},
			{"must(nosuch())", "!undefined: nosuch\ncell 2, line 1\n    1 | must(nosuch())\n      |      ^"},
			{"must()", "!not enough arguments in call to must"}, {"must(1, 2, \"x\")", "!in argument to must"}}},
		{"a panic is a panic", true, []turn{{`panic("boom")`, "!Panic: boom"},
			{"var m map[string]int\nm[\"a\"] = 1", "!Panic: assignment to entry in nil map"},
			{`panic(fmt.Errorf("mine"))`, "!Error: mine"}}},
	} {
		for _, tier := range []string{"auto", "go", "yaegi"} {
			t.Run(d.name+" "+tier, func(t *testing.T) {
				in := newEvaluator(t)
				in.engine = tier
				for n, turn := range d.turns {
					r := in.Eval(context.Background(), engine.Cell{Number: n + 1, Source: turn.cell})
					if want, ok := strings.CutPrefix(turn.answer, "!"); ok {
						if r.Failure == nil {
							t.Fatalf("cell %d %q did not fail", n+1, turn.cell)
						}
						if got := plain(r.Failure.Traceback); !strings.Contains(got, want) {
							t.Fatalf("cell %d %q failed with\n%s\nwant %q in it (%s)", n+1, turn.cell, got, want, in.tier)
						}
						continue
					}
					if r.Failure != nil {
						t.Fatalf("cell %d %q failed:\n%s (%s)", n+1, turn.cell, plain(r.Failure.Traceback), in.tier)
					}
					var got string
					if r.Value != nil {
						got = r.Value.Data[mime.Text]
					}
					if got != turn.answer {
						t.Fatalf("cell %d %q = %q, want %q (%s)", n+1, turn.cell, got, turn.answer, in.tier)
					}
				}
				if tier != "go" && in.tier.interpreted != d.interpreted {
					t.Errorf("the last cell is %s, want interpreted %t", in.tier, d.interpreted)
				}
			})
		}
	}
}
