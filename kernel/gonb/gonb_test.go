package gonb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/worker"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

func TestMain(m *testing.M) {
	status := testenv.Main(m)
	scratch.Remove()
	os.Exit(status)
}

// transcript is an output that remembers everything in order, and answers questions with "Ada".
type transcript struct {
	mu    sync.Mutex
	parts []string
	comms []comm.Message
}

func (o *transcript) add(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts = append(o.parts, fmt.Sprintf(format, args...))
}

func (o *transcript) Text(s engine.Stream, text string) { o.add("%s:%s", s, text) }
func (o *transcript) Display(b mime.Bundle, update bool) {
	o.add("display(%t):%s%d", update, b.Data[mime.HTML]+b.Data[mime.Text], len(b.Data[mime.PNG]))
}
func (o *transcript) Clear(bool) { o.add("clear") }
func (o *transcript) Comm(m comm.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.comms = append(o.comms, m)
}
func (o *transcript) Input(_ context.Context, prompt string, password bool) (string, error) {
	o.add("asks(%t):%s", password, prompt)
	return "Ada", nil
}
func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.parts, "|")
}

// both returns an engine with a worker and, when it is needed, GoNB.
func both(t *testing.T) *Engine {
	t.Helper()
	programs := testenv.Binaries(t, "github.com/janpfeifer/gonb", "golang.org/x/tools/cmd/goimports")
	t.Setenv("LOUPE_GONB", filepath.Join(programs, "gonb"))
	// GoNB finds goimports in PATH.
	t.Setenv("PATH", programs+string(os.PathListSeparator)+os.Getenv("PATH"))
	w, err := worker.New(worker.Options{Path: filepath.Join(programs, "loupe-worker")})
	if err != nil {
		t.Fatal(err)
	}
	e := New(w, Options{Dir: t.TempDir()})
	t.Cleanup(func() { e.Close() })
	return e
}

var cells int

func eval(t *testing.T, e *Engine, source string) (engine.Result, string) {
	t.Helper()
	r, parts := evalParts(t, e, source)
	return r, strings.Join(parts, "|")
}

func evalParts(t *testing.T, e *Engine, source string) (engine.Result, []string) {
	t.Helper()
	out := &transcript{}
	return evalInto(t, e, source, out, out)
}

// evalInto evaluates a cell, and returns what has come to its output by then.
func evalInto(t *testing.T, e *Engine, source string, out engine.Output, kept *transcript) (engine.Result, []string) {
	t.Helper()
	cells++
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	r, err := e.Eval(ctx, engine.Cell{Number: cells, Source: source}, out)
	if err != nil {
		t.Fatalf("%q: %v", source, err)
	}
	kept.mu.Lock()
	defer kept.mu.Unlock()
	return r, slices.Clone(kept.parts)
}

func good(t *testing.T, e *Engine, source string) (engine.Result, string) {
	t.Helper()
	r, out := eval(t, e, source)
	if r.Failure != nil {
		t.Fatalf("%q: %s: %s\n%s\n%s", source, r.Failure.Name, r.Failure.Message, strings.Join(r.Failure.Traceback, "\n"),
			out)
	}
	return r, out
}

func value(r engine.Result) string {
	if r.Value == nil {
		return ""
	}
	return r.Value.Data[mime.Text]
}

func TestCells(t *testing.T) {
	e := both(t)
	if _, out := good(t, e, "%%gonb\n%%\nfmt.Println(\"hello\")"); out != "stdout:hello\n" {
		t.Errorf("%q", out)
	}
	// Declarations stay, as GoNB has them.
	good(t, e, "%%gonb\nfunc double(n int) int { return 2 * n }")
	if _, out := good(t, e, "%%gonb\n%%\nfmt.Println(double(21))"); out != "stdout:42\n" {
		t.Errorf("%q", out)
	}
	// Its special commands, and the ends of a cell's output.
	if _, out := good(t, e, "%%gonb\n!echo from the shell"); out != "stdout:from the shell\n" {
		t.Errorf("%q", out)
	}
	if _, out := good(t, e, "%%gonb\n!*go mod edit -json | grep -c github.com/loupeml/loupe"); strings.TrimSpace(
		out) == "stdout:0" {
		t.Errorf("its module lacks the library: %q", out)
	}
	if _, out := good(t, e, "%%gonb\n%with_inputs\n!read name; echo hello $name"); !strings.Contains(out, "asks(false)") ||
		!strings.Contains(out, "hello Ada") {
		t.Errorf("%q", out)
	}
	if _, out := good(t, e, "%%gonb\nimport \"github.com/janpfeifer/gonb/gonbui\"\n%%\nvar name "+
		"string\ngonbui.RequestInput(\"who? \", true)\nfmt.Scanln(&name)\nfmt.Println(\"hello\", name)"); !strings.Contains(
		out, "asks(true):who? ") || !strings.Contains(out, "hello Ada") {
		t.Errorf("%q", out)
	}
	// What is printed and what is shown go two ways in GoNB, and on a busy machine either may come first.
	if _, out := good(t, e, "%%gonb\nimport "+
		"\"github.com/janpfeifer/gonb/gonbui\"\n%%\nfmt.Println(1)\ngonbui.DisplayHtml(\"<b>two</b>\")\ngonbui.DisplayImage(image.NewRGBA(image.Rect(0, 0, 2, 2)))\ngonbui.Sync()"); !strings.Contains(out, "stdout:1\n") || !strings.Contains(strings.ReplaceAll(out, "stdout:1\n|", ""), "display(false):<b>two</b>0|display(false):") || strings.Contains(out, "display(false):0") {
		t.Errorf("%q", out)
	}
	// The library is there, in the versions of this build.
	if _, out := good(t, e, "%%gonb\nimport \"github.com/loupeml/loupe/lib/stats\"\n%%\ni, err := "+
		"stats.ClopperPearson(0, 1, 0.05)\nfmt.Println(i.Low, err)"); out != "stdout:0 <nil>\n" {
		t.Errorf("%q", out)
	}
	// The two kinds of cells know nothing of each other's names.
	if r, _ := eval(t, e, "double(1)"); r.Failure == nil || !strings.Contains(r.Failure.Message, "undefined: double") {
		t.Errorf("%+v", r)
	}
}

func TestErrorsHaveThePlacesOfTheNotebook(t *testing.T) {
	e := both(t)
	good(t, e, "x := []int{1}")
	for _, c := range []struct {
		cell, name, message string
		line                int
	}{
		{"%%gonb\n\nfunc f() int {\n\treturn \"a\"\n}", "GoNBError", "cannot use \"a\"", 4},
		{"%%gonb -in x\ntype T struct{}\n%%\nfmt.Println(x)\nundefined1()", "GoNBError", "undefined: undefined1", 5},
		{"%%gonb -in x\n%%\nfmt.Println(x)\nfmt.Println(x[len(x)])", "Panic", "index out of range", 4},
		{"%%gonb\n%%\nos.Exit(3)", "GoNBError", "exit status 3", 0},
		{"%%gonb -in\n", "GoNBError", "takes -in NAMES", 0},
		{"%%gonb -in x+1\n", "GoNBError", "no name of a variable", 0},
		{"%%gonb -in nothing\n%%\n", "GoNBError", "undefined: nothing", 0},
		{"%%gonb -out y\nvar y = 1", "GoNBError", "put a line with %%", 0},
		{"%%gonb -out y\n%%\ny := 1\nif y == 1 { os.Exit(0) }", "GoNBError", "did not reach the end of main", 0},
		{"%%gonb -out y\n%%\ny := make(chan int)", "Panic", "has the type chan int", 0},
	} {
		r, out := eval(t, e, c.cell)
		// GoNB looks for places in what a program writes piece by piece, and Go writes main.go: and the line in two: on a
		// busy machine it misses one.
		for try := 0; try < 5 && c.name == "Panic" && c.line > 0 && strings.Contains(out, "main.go:|"); try++ {
			r, out = eval(t, e, c.cell)
		}
		f := r.Failure
		if f == nil || f.Name != c.name || !strings.Contains(f.Message, c.message) || c.line > 0 && f.Line != c.line {
			t.Errorf("%q: %+v\n%s", c.cell, f, out)
			continue
		}
		if at := fmt.Sprintf("cell %d, line %d", cells, c.line); c.line > 0 &&
			!strings.Contains(strings.Join(f.Traceback, "\n"), at) {
			t.Errorf("%q does not say %s: %q", c.cell, at, f.Traceback)
		}
	}
}

func TestValuesCross(t *testing.T) {
	e := both(t)
	good(t, e, `
type point struct { X, Y float64; Name string }
n, s, xs := 7, "sieben", []float64{1.5, 2.5}
m := map[string][]int{"a": {1, 2}}
p := point{1, 2, "here"}
img := image.NewGray(image.Rect(0, 0, 4, 3))
img.Pix[5] = 200
tensor := tensors.MustFromAnyValue([][]float32{{1, 2}, {3, 4}})
photos, err := data.FromTensor(tensors.MustFromAnyValue([][][][]float32{{{{0.5}}}, {{{1}}}}), []int{1, 0}, []string{"cat", "dog"})`)
	_, out := good(t, e, "%%gonb -in n,s,xs,m,p,img -out n2,s2,xs2,m2,p2,img2,d2\nimport \"time\"\n%%\n"+
		`fmt.Println(n, s, xs, m, p.Name, img.Bounds())
n2, s2, xs2 := n+1, s+"!", append(xs, 3.5)
m2 := map[string][]int{"b": m["a"]}
p2 := p
p2.X = 10
img2 := img
img2.Pix[0] = 9
d2 := 3 * time.Second`)
	if want := "stdout:7 sieben [1.5 2.5] map[a:[1 2]] here (0,0)-(4,3)\n"; out != want {
		t.Errorf("there: %q, want %q", out, want)
	}
	r, _ := good(t, e, `fmt.Sprintln(n2, s2, xs2, m2, p2, img2.Pix[0], img2.Pix[5], img2.Bounds(), d2)[:]`)
	if want := `"8 sieben! [1.5 2.5 3.5] map[b:[1 2]] {10 2 here} 9 200 (0,0)-(4,3) 3s\n"`; value(r) != want {
		t.Errorf("back: %s, want %s", value(r), want)
	}
	_, out = good(t, e, "%%gonb -in tensor,photos -out tensor2,photos2\n%%\nfmt.Println(tensor.Shape(), photos.Len(), "+
		"photos.ClassName(0))\ntensor2, photos2 := tensor, photos.Take(1)")
	if !strings.Contains(out, "[2, 2] 2 dog") {
		t.Errorf("there: %q", out)
	}
	if r, _ := good(t, e, "fmt.Sprintln(tensor2.Value(), photos2.Len(), photos2.ClassName(0))"); value(
		r) != `"[[1 2] [3 4]] 1 dog\n"` {
		t.Errorf("back: %s", value(r))
	}
	// A later value of the same name takes its place.
	good(t, e, "n = 100")
	if _, out := good(t, e, "%%gonb -in n\n%%\nfmt.Println(n)"); out != "stdout:100\n" {
		t.Errorf("%q", out)
	}
	good(t, e, "c := make(chan int)")
	if r, _ := eval(t, e, "%%gonb -in c\n%%\n"); r.Failure == nil ||
		!strings.Contains(r.Failure.Message, "c cannot be carried over") || !strings.Contains(r.Failure.Message, "chan int") {
		t.Errorf("%+v", r.Failure)
	}
}

// gonbui shows things from the cells of either kind, in order with what else they show.
func TestGonbuiInOurCells(t *testing.T) {
	e := both(t)
	for range 2 {
		_, out := good(t, e,
			"import \"github.com/janpfeifer/gonb/gonbui\"\ngonbui.DisplayHtml(\"<b>one</b>\")\ngonbui.DisplayImage(image.NewRGBA(image.Rect(0, 0, 2, 2)))\nid := \"gonb_\" + gonbui.UniqueId()\ngonbui.UpdateHtml(id, \"first\")\ngonbui.UpdateHtml(id, \"then\")")
		parts := strings.Split(out, "|")
		if len(parts) != 4 || parts[0] != "display(false):<b>one</b>0" || !strings.HasPrefix(parts[1], "display(false):") ||
			!strings.HasSuffix(parts[2], "first0") || !strings.HasSuffix(parts[3], "then0") {
			t.Errorf("%q", out)
		}
	}
	// A function that an earlier cell has made shows in the cell that calls it.
	good(t, e, "show := func(text string) { gonbui.DisplayHTML(text) }")
	if _, out := good(t, e, "show(\"later\")"); !strings.Contains(out, "later") {
		t.Errorf("%q", out)
	}
	// A lost process gets new pipes.
	eval(t, e, "syscall.Exit(1)")
	if _, out := good(t, e,
		"import \"github.com/janpfeifer/gonb/gonbui\"\ngonbui.DisplayHtml(\"again\")"); !strings.Contains(out, "again") {
		t.Errorf("%q", out)
	}
	if _, out := good(t, e, "import \"github.com/janpfeifer/gonb/gonbui\"\ngonbui.RequestInput(\"who? \", false)\nvar "+
		"name string\nfmt.Scanln(&name)\nname"); !strings.Contains(out, "asks(false)") {
		t.Errorf("%q", out)
	}
}

func TestWholeNotebook(t *testing.T) {
	e := both(t)
	good(t, e, "%engine gonb")
	if r, _ := good(t, e, "%engine"); value(r) != "the engine is gonb" {
		t.Errorf("%s", value(r))
	}
	if _, out := good(t, e, "%%\nfmt.Println(\"all of it\")"); out != "stdout:all of it\n" {
		t.Errorf("%q", out)
	}
	if c, _ := e.IsComplete("func f() {"); c != engine.Complete {
		t.Errorf("%s", c)
	}
	good(t, e, "%engine auto")
	if r, _ := good(t, e, "6*7"); value(r) != "42" {
		t.Errorf("%s", value(r))
	}
}

func TestInterruptAndLoss(t *testing.T) {
	e := both(t)
	good(t, e, "%%gonb\nfunc f() int { return 42 }")
	for _, c := range []string{"for {}", "<-time.After(time.Hour)", "time.Sleep(time.Hour)"} {
		ctx, cancel := context.WithCancel(context.Background())
		out := &transcript{}
		go func() {
			for !strings.Contains(out.String(), "begun") && ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
			}
			cancel()
		}()
		r, err := e.Eval(ctx, engine.Cell{Number: 1, Source: "%%gonb\n%%\nfmt.Println(\"begun\")\n" + c}, out)
		if err != nil || r.Failure == nil || r.Failure.Name != "Interrupted" {
			t.Fatalf("%s: %+v, %v", c, r.Failure, err)
		}
	}
	if _, out := good(t, e, "%%gonb\n%%\nfmt.Println(f())"); out != "stdout:42\n" {
		t.Errorf("after an interrupt: %q", out)
	}
	e.current().cmd.Process.Kill()
	<-e.current().ended
	if _, out := good(t, e, "%%gonb\n%%\nfmt.Println(1)"); out != "stdout:1\n" {
		t.Errorf("after it was killed: %q", out)
	}
	c := e.current()
	out := &transcript{}
	go func() {
		for !strings.Contains(out.String(), "begun") {
			time.Sleep(10 * time.Millisecond)
		}
		c.cmd.Process.Kill()
	}()
	if r, err := e.Eval(context.Background(), engine.Cell{Number: 1,
		Source: "%%gonb\n%%\nfmt.Println(\"begun\")\ntime.Sleep(time.Hour)"}, out); err != nil || r.Failure == nil ||
		r.Failure.Name != "GoNBLost" {
		t.Errorf("%+v, %v", r.Failure, err)
	}
	dir := c.dir
	e.Restart()
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is left", dir)
	}
	if r, _ := eval(t, e, "%%gonb\n%%\nfmt.Println(f())"); r.Failure == nil {
		t.Error("after a restart it still knows f")
	}
}

func TestGoNBThatIsMissingIsOneSentence(t *testing.T) {
	e := both(t)
	t.Setenv("LOUPE_GONB", filepath.Join(t.TempDir(), "gonb"))
	if r, _ := eval(t, e, "%%gonb\n%%\n"); r.Failure == nil || !strings.Contains(r.Failure.Message, "no such file") {
		t.Errorf("%+v", r.Failure)
	}
	script := filepath.Join(t.TempDir(), "gonb")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho something else >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOUPE_GONB", script)
	if r, _ := eval(t, e, "%%gonb\n%%\n"); r.Failure == nil || !strings.Contains(r.Failure.Message, "something else") {
		t.Errorf("%+v", r.Failure)
	}
}

// Completion within such cells is GoNB's where gopls is there, and ours of the packages otherwise.
func TestCompletion(t *testing.T) {
	e := both(t)
	good(t, e, "%%gonb\nfunc elsewhere() int { return 42 }")
	source := "%%gonb\n%%\nstrings.HasPref"
	matches, start, end, err := e.Complete(context.Background(), source, len(source))
	if err != nil || len(matches) == 0 || matches[0].Text != "HasPrefix" &&
		!strings.HasPrefix(matches[0].Text, "HasPrefix") {
		t.Errorf("%v %d %d %v", matches, start, end, err)
	}
	b, found, err := e.Inspect(context.Background(), source+"ix", len(source), 0)
	if err != nil || !found || !strings.Contains(fmt.Sprint(b.Data), "HasPrefix") {
		t.Errorf("%v %v %v", b, found, err)
	}
}
