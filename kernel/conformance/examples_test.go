package conformance

import (
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// packages whose examples are run.
var packages = []string{
	"strings", "strconv", "sort", "slices", "maps", "iter", "errors", "fmt", "time", "math", "math/big", "math/bits",
	"math/cmplx", "math/rand",
	"math/rand/v2", "bytes", "container/heap", "container/list", "container/ring", "text/scanner", "text/tabwriter",
	"text/template", "encoding",
	"encoding/ascii85", "encoding/asn1", "encoding/base32", "encoding/base64", "encoding/binary", "encoding/csv",
	"encoding/gob", "encoding/hex",
	"encoding/json", "encoding/pem", "encoding/xml", "regexp", "regexp/syntax",
}

// example is one of the standard library's, as a person would type it into a notebook.
type example struct {
	name      string
	cell      string
	output    string
	unordered bool
}

// examplesOf returns the examples of a package that say what they print.
func examplesOf(t testing.TB, pkg string) []example {
	files, err := filepath.Glob(filepath.Join(goroot(t, "src"), pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []example
	for _, file := range files {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range doc.Examples(f) {
			if e.Output == "" && !e.EmptyOutput {
				continue
			}
			x := example{name: pkg + ".Example" + e.Name, output: e.Output, unordered: e.Unordered}
			if e.Play != nil {
				x.cell = cellOf(t, fset, e.Play)
			}
			out = append(out, x)
		}
	}
	return out
}

// cellOf turns the program that go/doc makes of an example into a cell: its imports and declarations, then the
// statements of main.
func cellOf(t testing.TB, fset *token.FileSet, program *ast.File) string {
	var text strings.Builder
	if err := format.Node(&text, fset, program); err != nil {
		t.Fatal(err)
	}
	source := text.String()
	fset = token.NewFileSet()
	f, err := parser.ParseFile(fset, "", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	offset := func(p token.Pos) int { return fset.Position(p).Offset }
	for _, d := range f.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Name.Name == "main" && d.Recv == nil {
			body := source[offset(d.Body.Lbrace)+1 : offset(d.Body.Rbrace)]
			return source[offset(f.Name.End()):offset(d.Pos())] + source[offset(d.End()):] + "\n" + body
		}
	}
	t.Fatal("no main in what go/doc made")
	return ""
}

// One in three runs without LOUPE_HEAVY=1.
func TestExamplesOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	excused := exceptions(t, "examples.txt")
	n := newNotebook(t, t.TempDir())
	seen, all, passed, interpreted := 0, 0, 0, 0
	for _, pkg := range packages {
		for _, e := range examplesOf(t, pkg) {
			reason := excused[e.name]
			delete(excused, e.name)
			if seen++; !testenv.Some(seen, 3) {
				continue
			}
			all++
			var r reply
			good := false
			if e.cell != "" {
				// Each is a notebook of its own. The tests of package time are run as if in California.
				if r := n.run("%reset\nif loc, err := time.LoadLocation(\"America/Los_Angeles\"); err == nil { time.Local = loc }",
					patience); r.failure != nil {
					t.Fatal(r.why())
				}
				r = n.run(e.cell, patience)
				good = r.failure == nil && same(r.stdout, e.output, e.unordered)
			}
			// What the interpreter has been trusted with must give the same when it is compiled.
			if tier := n.run("%tier", patience); strings.Contains(tier.value, "interpreted") {
				interpreted++
				n.run("%reset\n%engine go\nif loc, err := time.LoadLocation(\"America/Los_Angeles\"); err == nil { time.Local = "+
					"loc }", patience)
				if c := n.run(e.cell, patience); !e.unordered && c.stdout != r.stdout || c.value != r.value ||
					(c.failure == nil) != (r.failure == nil) {
					t.Errorf("%s: compiled it gives %q %q %s, interpreted %q %q %s", e.name, c.stdout, c.value, c.why(), r.stdout,
						r.value, r.why())
				}
				n.run("%engine auto", patience)
			}
			switch {
			case good && reason != "":
				t.Errorf("%s passes: take it out of testdata/examples.txt", e.name)
			case good:
				passed++
			case reason == "":
				t.Errorf("%s: %s\nprinted %.600q\nwant    %.600q\ncell:\n%s", e.name, r.why(), r.stdout, e.output, head(e.cell))
			}
		}
	}
	for name := range excused {
		t.Errorf("testdata/examples.txt names %s, which is not among the examples", name)
	}
	t.Logf("%d of %d examples pass; %d were interpreted, and run compiled as well", passed, all, interpreted)
	if float64(passed) < 0.98*float64(all) {
		t.Errorf("%d of %d examples pass, fewer than 98 %%", passed, all)
	}
	testenv.RestIsHeavy(t, 3)
}

// same compares as go test does.
func same(got, want string, unordered bool) bool {
	got, want = strings.TrimSpace(got), strings.TrimSpace(want)
	if unordered {
		a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
		slices.Sort(a)
		slices.Sort(b)
		return slices.Equal(a, b)
	}
	return got == want
}

func head(s string) string {
	lines := strings.SplitN(s, "\n", 31)
	return strings.Join(lines[:min(len(lines), 30)], "\n")
}
