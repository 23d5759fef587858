package goeval

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/engine"
)

// shownBy is what a cell gives.
func shownBy(t *testing.T, r engine.Result) string {
	t.Helper()
	if r.Failure != nil {
		t.Fatalf("%s", strings.Join(r.Failure.Traceback, "\n"))
	}
	if r.Value == nil {
		return ""
	}
	return r.Value.Data["text/plain"]
}

// %mod use again after an edit: new cells run the new code, and only what the edit reaches is made anew.
func TestModUseAgainAfterAnEdit(t *testing.T) {
	dir := t.TempDir()
	write := func(name, source string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.org/edited\n\ngo 1.26\n")
	write("low/low.go",
		"package low\n\nimport _ \"embed\"\n\n//go:embed data/text.txt\nvar Text string\n\nfunc N() int { return 1 }\n")
	write("low/data/text.txt", "first")
	write("internal/hidden/h.go", "package hidden\n\nconst Word = \"hidden\"\n")
	write("high/high.go", "package high\n\nimport "+
		"(\n\t\"example.org/edited/internal/hidden\"\n\t\"example.org/edited/low\"\n)\n\nfunc N() int { return 10 * "+
		"low.N() }\nfunc Word() string { return hidden.Word }\n")
	write("root.go", "package edited\n\nimport \"example.org/edited/low\"\n\nfunc Root() int { return 100 * low.N() }\n")
	write("apart/apart.go", "package apart\n\nvar Count int\n")
	e := newEvaluator(t)
	defer e.Close()
	number := 0
	cell := func(source string) engine.Result {
		number++
		return evaluate(t, e, number, source)
	}
	if got := shownBy(t,
		cell("%mod list")); got != "cells can import what loupe was built with; %mod get PATH@VERSION and %mod use DIR "+
		"add to that" {
		t.Errorf("%s", got)
	}
	use := "%mod use " + dir
	if got := shownBy(t, cell(use)); !strings.Contains(got, "example.org/edited") {
		t.Fatalf("%s", got)
	}
	if got := shownBy(t, cell("%mod list")); got != "example.org/edited => "+dir {
		t.Errorf("%s", got)
	}
	if got := shownBy(t,
		cell("import (\n\t\"example.org/edited/high\"\n\t\"example.org/edited/low\"\n\t\"example.org/edited/apart\"\n\"example.org/edited\"\n)\napart.Count++\nedited.Root()\nold := high.N\nhigh.N(), low.N(), low.Text")); got != "10, 1, first" {
		t.Fatalf("%s", got)
	}
	if got := shownBy(t, cell(use)); strings.Contains(got, "changed") {
		t.Errorf("nothing has changed: %s", got)
	}
	write("low/low.go", "package low\n\nimport _ \"embed\"\n\n//go:embed data/text.txt\nvar Text string\n\nfunc N() "+
		"int { return 2 }\n\nfunc New() string { return \"new\" }\n")
	write("low/data/text.txt", "second")
	if got := shownBy(t, cell(use)); !strings.Contains(got, "changed code of") ||
		!strings.Contains(got, "example.org/edited/low") || strings.Contains(got, "apart") {
		t.Errorf("%s", got)
	}
	if got := shownBy(t,
		cell("high.N(), low.N(), low.Text, low.New(), high.Word(), old(), apart.Count, edited.Root()")); got != "20, 2, second, new, hidden, 10, 1, 200" {
		t.Errorf("%s", got)
	}
	// Once more, and by an import of the cell's own.
	write("low/low.go",
		"package low\n\nfunc N() int { return 3 }\n\ntype T struct{}\n\nfunc (T) M() { panic(\"here\") }\n")
	shownBy(t, cell(use))
	if got := shownBy(t, cell("import \"example.org/edited/low\"\nimport h \"example.org/edited/high\"\nh.N(), "+
		"low.N(), fmt.Sprintf(\"%T\", low.T{})")); got != "30, 3, low.T" {
		t.Errorf("%s", got)
	}
	// A mistake is told with its place in the person's file, and what was there stays.
	write("low/low.go", "package low\n\nfunc N() int { return \"three\" }\n")
	if r := cell(use); r.Failure == nil || !strings.Contains(r.Failure.Message, "low/low.go:3") {
		t.Errorf("%+v", r.Failure)
	}
	if got := shownBy(t, cell("high.N(), low.N()")); got != "30, 3" {
		t.Errorf("%s", got)
	}
}
