package syntax

import (
	"fmt"
	"go/token"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	names := map[kind]string{ImportItem: "import", TypeItem: "type", FuncItem: "func", MethodItem: "method",
		VarItem: "var", StmtItem: "stmt"}
	for _, c := range []struct{ source, want string }{
		{"x := 1", "stmt"},
		{"x := 1; y := 2", "stmt stmt"},
		{"import \"fmt\"\nfmt.Println(1)", "import stmt"},
		{"import (\n\"fmt\"\n\"os\"\n)", "import"},
		{"func f() {}\nf()", "func stmt"},
		{"func(a int) int { return a }(3)", "stmt"},
		{"func (t T) M() int { return 1 }", "method"},
		{"func (t *T) M() {\n}\nvar t T", "method var"},
		{"func g[T any](x T) T { return x }", "method"},
		{"for i := 0; i < 3; i++ {\n\tf(i)\n}\nx", "stmt stmt"},
		{"if v, ok := m[1]; ok {\n} else if w := 2; w > 1 {\n} else {\n}\nx", "stmt stmt"},
		{"switch x := f(); x {\ncase 1: a()\n}", "stmt"},
		{"L:\nfor i := 0; ; i++ { break L }", "stmt"},
		{"type T struct { a int; b string }\nconst c = 1", "type type"},
		{"var x = func() int { if a := 1; a > 0 { return a }; return 0 }", "var"},
		{"s := `raw\n\r\n; string`\ns", "stmt stmt"},
		{"// only a comment", ""},
		{"x // trailing\n/* y */ z", "stmt stmt"},
	} {
		items, err := Split(token.NewFileSet(), &Text{Source: c.source})
		if err != nil {
			t.Errorf("split(%q): %v", c.source, err)
			continue
		}
		var got []string
		for _, it := range items {
			got = append(got, names[it.Kind])
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("split(%q) = %q, want %q", c.source, s, c.want)
		}
	}
}

func TestSplitSaysWhere(t *testing.T) {
	for _, c := range []struct {
		source string
		at     string
	}{
		{"x := 1\ny := := 2", ":= 2"},
		{"x := \"abc", "\"abc"},
		{"f(1, 2", ""},
		{"if x {", ""},
	} {
		_, err := Split(token.NewFileSet(), &Text{Source: c.source})
		if err == nil {
			t.Errorf("split(%q) found no fault", c.source)
			continue
		}
		if got := c.source[err.Offset:]; got != c.at {
			t.Errorf("split(%q) points to %q (%s), want %q", c.source, got, err.Message, c.at)
		}
	}
}

func ExampleSplit() {
	items, _ := Split(token.NewFileSet(), &Text{Source: "n := 3\nfmt.Println(n)"})
	for _, it := range items {
		fmt.Println(it.Defines, len(it.Unresolved), it.Qualifiers)
	}
	// Output:
	// [n] 0 map[]
	// [] 2 map[fmt:true]
}
