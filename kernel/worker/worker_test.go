package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// transcript is an output that remembers everything in order.
type transcript struct {
	mu    sync.Mutex
	parts []string
}

func (o *transcript) add(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts = append(o.parts, fmt.Sprintf(format, args...))
}

func (o *transcript) Text(s engine.Stream, text string) { o.add("%s:%s", s, text) }
func (o *transcript) Display(b mime.Bundle, update bool) {
	o.add("display(%t):%s", update, b.Data[mime.Text])
}
func (o *transcript) Clear(wait bool) { o.add("clear") }
func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.parts, "|")
}

func newWorker(t *testing.T) *Worker {
	t.Helper()
	w, err := New(Options{Path: filepath.Join(testenv.Binaries(t), "loupe-worker")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func eval(t *testing.T, w *Worker, source string) (engine.Result, string) {
	t.Helper()
	out := &transcript{}
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	r, err := w.Eval(ctx, engine.Cell{Number: 1, Source: source}, out)
	if err != nil {
		t.Fatalf("%q: %v", source, err)
	}
	return r, out.String()
}

func value(r engine.Result) string {
	if r.Failure != nil {
		return "failure: " + r.Failure.Message
	}
	if r.Value == nil {
		return ""
	}
	return r.Value.Data[mime.Text]
}

func TestVariablesStayAndLibraryIsLoaded(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "x := 20")
	if r, _ := eval(t, w, "2*x + 2"); value(r) != "42" {
		t.Errorf("got %s", value(r))
	}
	if r, _ := eval(t, w, `tensors.FromAnyValue([]float32{1, 2})`); value(r) != "[2]float32{1, 2}" {
		t.Errorf("a tensor shows as %s", value(r))
	}
	if r, _ := eval(t, w, "p := plot.New()\np.Title.Text = \"t\"\np"); r.Value == nil || r.Value.Data[mime.PNG] == "" {
		t.Errorf("a plot shows as %s", value(r))
	}
	if r, _ := eval(t, w, "image.NewGray(image.Rect(0, 0, 8, 8))"); r.Value == nil ||
		!strings.HasPrefix(r.Value.Data[mime.PNG], "\x89PNG") {
		t.Errorf("an image shows as %s", value(r))
	}
	if r, _ := eval(t, w, "\"quoted\""); value(r) != `"quoted"` {
		t.Errorf("a string shows as %s", value(r))
	}
}

func TestOutputKeepsItsOrder(t *testing.T) {
	w := newWorker(t)
	r, out := eval(t, w, `
fmt.Print("a")
display.Show(1)
fmt.Print("b")
display.Show(2)
fmt.Fprint(os.Stderr, "c")
display.Show(3)
fmt.Print("grün")`)
	if r.Failure != nil {
		t.Fatal(value(r))
	}
	if want := "stdout:a|display(false):1|stdout:b|display(false):2|stderr:c|display(false):3|stdout:grün"; out != want {
		t.Errorf("output %q, want %q", out, want)
	}
}

func TestOutputStreamsWhileTheCellRuns(t *testing.T) {
	w := newWorker(t)
	out := &transcript{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan engine.Result)
	go func() {
		r, _ := w.Eval(ctx, engine.Cell{Source: `fmt.Print("first"); for { time.Sleep(time.Millisecond) }`}, out)
		done <- r
	}()
	for deadline := time.Now().Add(hangs); out.String() != "stdout:first"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing came while the cell ran: %q", out)
		}
	}
	cancel()
	if r := <-done; r.Failure == nil || r.Failure.Name != "Interrupted" {
		t.Errorf("%+v", r)
	}
}

func TestManyLinesAllArrive(t *testing.T) {
	w := newWorker(t)
	_, out := eval(t, w, `for i := 0; i < 20000; i++ { fmt.Println(i, "ü") }`)
	text := strings.ReplaceAll(strings.ReplaceAll(out, "|stdout:", ""), "stdout:", "")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 20000 || lines[19999] != "19999 ü" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

// A compiled function that does not return costs the process only if the person insists.
func TestInterruptOfCompiledCode(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "precious := 1")
	c := begin(t, w, "fmt.Println(\"begun\")\np := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 521), "+
		"big.NewInt(1))\np.ProbablyPrime(1 << 30)")
	c.wait("begun")
	c.stop()
	c.wait("A second Stop ends the process at once: precious would be lost")
	if r := c.insist(w); r.Failure == nil || r.Failure.Name != "Interrupted" ||
		!strings.Contains(r.Failure.Message, "precious") {
		t.Fatalf("%+v", r.Failure)
	}
	if r, _ := eval(t, w, "6*7"); value(r) != "42" {
		t.Errorf("the next cell gives %s", value(r))
	}
}

// A cell that waits for what never comes is left behind, and nothing is lost.
func TestInterruptOfADeadlock(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "precious := 42")
	for _, cell := range []string{"var mu sync.Mutex\nmu.Lock()\nmu.Lock()", "<-make(chan int)", "select {}",
		"var wg sync.WaitGroup\nwg.Add(1)\nwg.Wait()"} {
		ctx, cancel := context.WithCancel(context.Background())
		out := &transcript{}
		go func() {
			for !strings.Contains(out.String(), "begun") {
				time.Sleep(5 * time.Millisecond)
			}
			cancel()
		}()
		r, err := w.Eval(ctx, engine.Cell{Number: 2, Source: "fmt.Println(\"begun\")\n" + cell}, out)
		if err != nil || r.Failure == nil || r.Failure.Name != "Interrupted" {
			t.Fatalf("%q: %+v, %v", cell, r.Failure, err)
		}
		if r, _ := eval(t, w, "precious"); value(r) != "42" {
			t.Errorf("after %q precious is %s", cell, value(r))
		}
	}
}

func TestRestartForgets(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "x := 1")
	if err := w.Restart(); err != nil {
		t.Fatal(err)
	}
	if r, _ := eval(t, w, "x"); r.Failure == nil || !strings.Contains(r.Failure.Message, "undefined: x") {
		t.Errorf("after a restart x is %s", value(r))
	}
}

// Names of the library are offered where a string is one of them.
func TestNamesInStrings(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "digits := loupe.Open(`sample-mnist`)\nnet := loupe.SmallCNN(digits, 1, 2, 2)")
	for source, want := range map[string]string{
		`loupe.Load("squ`:      "squeezenet",
		`loupe.Open("sample-c`: "sample-cifar10 sample-cifar100",
		`loupe.CorruptionSweep(net, digits, "fog", "gaussian_n`:  "gaussian_noise",
		`loupe.CorruptionSweep(net, digits, "wea`:                "weather",
		`perturb.CorruptionNamed("sno`:                           "snow",
		`assets.Path("fashion`:                                   "fashion-mnist",
		`!loupe fetch foolb`:                                     "foolbox-samples",
		`%backend xla:c`:                                         "xla:cpu xla:cuda",
		`net.Activations("conv`:                                  "conv1 conv2",
		`loupe.Attribute(net, digits, attrib.GradCAM{Layer: "re`: "relu1 relu2",
		`net.Layer("none of this`:                                "",
	} {
		matches, start, end, err := w.Complete(context.Background(), source, len(source))
		var names []string
		for _, m := range matches {
			names = append(names, m.Text)
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%s: %q from %d to %d (%v), want %q", source, got, start, end, err, want)
		}
	}
}

func TestCompleteAndInspectReachTheChild(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "somewhere := 3")
	matches, start, end, err := w.Complete(context.Background(), "somew", 5)
	if err != nil || len(matches) != 1 || matches[0].Text != "somewhere" || start != 0 || end != 5 {
		t.Errorf("%v %d %d %v", matches, start, end, err)
	}
	b, found, err := w.Inspect(context.Background(), "somewhere", 3, 0)
	if err != nil || !found || !strings.Contains(b.Data[mime.Text], "int") {
		t.Errorf("%v %t %v", b, found, err)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := openFiles(t)
	for range 3 {
		w := newWorker(t)
		eval(t, w, "1")
		pid := w.Pid()
		w.Close()
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files are open, %d were before", after, before)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("skipped: needs /proc")
	}
	return len(entries)
}

func TestMissingBinaryIsOneSentence(t *testing.T) {
	_, err := New(Options{Path: filepath.Join(t.TempDir(), "loupe-worker")})
	if err == nil || !strings.Contains(err.Error(), "install.sh") {
		t.Errorf("error %v", err)
	}
	notOurs := filepath.Join(t.TempDir(), "loupe-worker")
	if err := os.WriteFile(notOurs, []byte("#!/bin/sh\necho something else >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err = New(Options{Path: notOurs}); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("error %v", err)
	}
}

// An error has its line whatever types the cell mentions: those with many methods bring many files with them.
func TestErrorsOfTheLibraryHaveLines(t *testing.T) {
	w := newWorker(t)
	if r, _ := eval(t, w,
		"net := loupe.Function(\"net\", 8, 8, 3, func(x *graph.Node) *graph.Node { return graph.ReduceSum(x, 1, 2) })\n"+
			"x := tensors.FromScalarAndDimensions(float32(0.5), 1, 8, 8, 3)"); r.Failure != nil {
		t.Fatalf("%+v", r.Failure)
	}
	for _, cell := range []string{
		"\n\na := loupe.Attribute(net, x, attrib.GradCAM{Layer: \"nope\"})",
		"%%go\n\na := loupe.Attribute(net, x, attrib.GradCAM{Layer: \"nope\"})",
		"\n\na := loupe.Attribute(net, x, lrp.LRP{Composite: lrp.Composite{Stabilizer: -1}})",
		"\n\nvar m *model.Model\nm = net; m.CheckLayer(\"nope\"); loupe.Explain(net, x, attrib.Occlusion{Window: 99})",
	} {
		r, _ := eval(t, w, cell)
		if r.Failure == nil || r.Failure.Name != "Error" ||
			!strings.Contains(strings.Join(r.Failure.Traceback, "\n"), "line ") {
			t.Errorf("%q: %+v", cell, r.Failure)
		}
	}
}
