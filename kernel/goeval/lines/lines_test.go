package lines

import (
	"strings"
	"testing"
)

var forms = Forms{"%time": {Statement: true}, "%main": {Main: true}, "%%bash": {Cell: true}, "%ls": {}}

func TestParts(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"x := 1\ny := 2", "go(x := 1 y := 2)"},
		{"x := 1\n%ls a b\ny := 2", "go(x := 1)|%ls(a b)|go(y := 2)"},
		{"!echo a \\\n  b\nx", "!echo(a  b)|go(x)"},
		{"x := 7\n%3", "go(x := 7)|%3()"},
		{"x :=\n%ls", "go(x := %ls)"}, // no statement may begin there
		{"if a {\n!b\n}", "go(if a { !b })"},
		{"s := `\n%ls\n`", "go(s := ` %ls `)"},
		{"%%bash -x\n%ls\n", "%%bash(-x){%ls}"},
		{"x\n%%bash", "go(x)|%%bash()"},
		{"%main -n 3\nf()\n%ls", "%ls()|main(func main() { f() })"},
		{"//gonb:%ls", "%ls()"},
		{"?x", "?x()"},
		{"a != b", "go(a != b)"},
	} {
		var got []string
		for _, p := range forms.Parts(c.source) {
			switch one := strings.Join(strings.Fields(p.Source), " "); {
			case p.Main:
				got = append(got, "main("+one+")")
			case !p.Magic:
				got = append(got, "go("+one+")")
			case p.Body != "":
				got = append(got, p.Name()+"("+p.Args()+"){"+strings.TrimSpace(p.Body)+"}")
			default:
				got = append(got, p.Name()+"("+p.Args()+")")
			}
			if p.Source != "" && !p.Main && len(p.Source) > len(c.source) {
				t.Errorf("%q: the Go %q is longer than the cell", c.source, p.Source)
			}
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%q is %s, want %s", c.source, s, c.want)
		}
	}
}

// What is not Go is made a comment of the same length, so that places stay.
func TestOnlyGo(t *testing.T) {
	for source, want := range map[string]string{
		"x := 1\n%ls a\ny": "x := 1\n//s a\ny",
		"%time f(x)":       "      f(x)",
		"%%bash\nls\n":     "//bash\n  \n",
		"x":                "x",
	} {
		if got := forms.OnlyGo(source); got != want || len(got) != len(source) {
			t.Errorf("OnlyGo(%q) is %q, want %q", source, got, want)
		}
	}
}

func TestQuestion(t *testing.T) {
	for _, c := range []struct {
		source, name string
		detail       int
	}{
		{"x?", "x", 0}, {"?x", "x", 0}, {"x??", "x", 1}, {" fmt.Println ? ", "fmt.Println", 0}, {"f(1)?", "f", 0},
		{"%time?", "%time", 0}, {"x???", "", 0}, {"x", "", 0}, {"a\nb?", "", 0}, {"!ls?", "", 0}, {"// why?", "", 0},
	} {
		name, detail, ok := Question(c.source)
		if ok != (c.name != "") || ok && (name != c.name || detail != c.detail) {
			t.Errorf("Question(%q) is %q, %d, %t", c.source, name, detail, ok)
		}
	}
}
