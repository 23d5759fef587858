package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/comm"
)

// started is a cell that runs.
type started struct {
	t    *testing.T
	out  *transcript
	stop context.CancelFunc
	done chan engine.Result
}

// begin starts a cell and does not wait for its end.
func begin(t *testing.T, w *Worker, source string) *started {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &started{t, &transcript{}, cancel, make(chan engine.Result, 1)}
	go func() {
		r, err := w.Eval(ctx, engine.Cell{Number: 1, Source: source}, s.out)
		if err != nil {
			t.Errorf("%q: %v", source, err)
		}
		s.done <- r
	}()
	t.Cleanup(cancel)
	return s
}

// wait waits until the cell has shown a text.
func (s *started) wait(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(hangs); !strings.Contains(s.out.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("it does not show %q but %q", text, s.out)
		}
	}
}

// end waits for the cell's end.
func (s *started) end() engine.Result {
	s.t.Helper()
	select {
	case r := <-s.done:
		return r
	case <-time.After(hangs):
		s.t.Fatalf("it does not end; it shows %q", s.out)
	}
	panic("unreachable")
}

// runs fails the test if the cell has ended.
func (s *started) runs() {
	s.t.Helper()
	select {
	case r := <-s.done:
		s.t.Fatalf("it has ended: %+v, and shows %q", r.Failure, s.out)
	default:
	}
}

func (s *started) interrupted() {
	s.t.Helper()
	if r := s.end(); r.Failure == nil || r.Failure.Name != "Interrupted" || r.Lost {
		s.t.Fatalf("%+v, lost: %t", r.Failure, r.Lost)
	}
}

// insist presses Stop until the cell has ended.
func (s *started) insist(w *Worker) engine.Result {
	s.t.Helper()
	for deadline := time.Now().Add(hangs); time.Now().Before(deadline); {
		w.Insist()
		select {
		case r := <-s.done:
			return r
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.t.Fatalf("a second Stop does not end it; it shows %q", s.out)
	panic("unreachable")
}

// gate is a named pipe. Who opens it waits until the test does so too, as one waits for a compilation.
func gate(t *testing.T) (path string, open func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		if err := os.WriteFile(path, []byte("go"), 0); err != nil {
			t.Error(err)
		}
	}
}

// compiling is a cell that is at something that cannot be stopped, until the gate opens.
const compiling = `import "github.com/loupeml/loupe/lib/interrupt"
done := interrupt.Busy("compiling a large network")
fmt.Println("begun")
os.ReadFile(%q)
done()
`

func TestStopWaitsForWhatCannotBeStopped(t *testing.T) {
	for _, tier := range []string{"go", "auto"} {
		t.Run(tier, func(t *testing.T) {
			w := newWorker(t)
			eval(t, w, "%engine "+tier)
			eval(t, w, "net, photos := 41, 1")
			path, open := gate(t)
			c := begin(t, w, fmt.Sprintf(compiling, path))
			c.wait("begun")
			pid := w.Pid()
			c.stop()
			c.wait("cannot be stopped half way: compiling a large network")
			c.wait("A second Stop ends the process at once: net, photos would be lost")
			c.runs()
			open()
			c.interrupted()
			if r, _ := eval(t, w, "net + photos"); value(r) != "42" || w.Pid() != pid {
				t.Errorf("the next cell gives %s, in process %d where %d was", value(r), w.Pid(), pid)
			}
		})
	}
}

func TestSecondStopEndsTheProcess(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "net, photos := 41, 1")
	path, _ := gate(t)
	c := begin(t, w, fmt.Sprintf(compiling, path))
	c.wait("begun")
	w.Insist() // there has been no first Stop
	c.stop()
	w.Insist() // of somebody who cannot have read what it costs
	c.wait("A second Stop")
	w.Insist() // nor this time
	c.runs()
	if r := c.insist(w); r.Failure == nil || r.Failure.Name != "Interrupted" || !r.Lost ||
		!strings.Contains(r.Failure.Message, "a second Stop ended its process; lost are ") ||
		!strings.Contains(r.Failure.Message, "net, photos") {
		t.Errorf("%+v, lost: %t", r.Failure, r.Lost)
	}
	if r, _ := eval(t, w, "6*7"); value(r) != "42" {
		t.Errorf("the next cell gives %s", value(r))
	}
}

// What is in code that looks at nothing and says nothing is waited for as well.
func TestStopOfCodeThatDoesNotLookUp(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "precious := 42")
	path, open := gate(t)
	c := begin(t, w, fmt.Sprintf("fmt.Println(\"begun\")\nf, err := os.Open(%q)", path)) // in a call of the system
	c.wait("begun")
	c.stop()
	c.wait("code that cannot be interrupted")
	c.runs()
	open()
	c.interrupted()
	if r, _ := eval(t, w, "precious"); value(r) != "42" {
		t.Errorf("precious is %s", value(r))
	}
}

// looking is a cell of the library's kind, which asks whether to stop between its steps, and otherwise ends when
// there is a file.
const looking = `import "github.com/loupeml/loupe/lib/interrupt"
fmt.Println("begun")
for {
	if err := interrupt.Err(); err != nil {
		fmt.Println("stopped")
		panic(err)
	}
	if _, err := os.Stat(%q); err == nil {
		break
	}
	time.Sleep(time.Millisecond)
}
fmt.Println("whole")`

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Error(err)
	}
}

func TestInterruptReachesOneOfTwoCells(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "precious := 42")
	file := filepath.Join(t.TempDir(), "enough")
	first := begin(t, w, fmt.Sprintf(looking, file))
	first.wait("begun")
	second := begin(t, w, fmt.Sprintf(looking, file+"2"))
	second.wait("begun")
	// Goroutines of the library's are their cell's.
	third := begin(t, w, fmt.Sprintf("var wg sync.WaitGroup\nfor i := 0; i < 4; i++ {\n\twg.Add(1)\n\tgo func() "+
		"{\n\t\tdefer wg.Done()\n%s\n\t}()\n}\nwg.Wait()",
		strings.TrimPrefix(fmt.Sprintf(looking, file), "import \"github.com/loupeml/loupe/lib/interrupt\"\n")))
	third.wait("begun")
	second.stop()
	second.interrupted()
	first.runs()
	third.runs()
	touch(t, file)
	for _, c := range []*started{first, third} {
		if r := c.end(); r.Failure != nil || !strings.Contains(c.out.String(), "whole") ||
			strings.Contains(c.out.String(), "stopped") {
			t.Errorf("beside a cell that was interrupted another ended with %+v, and shows %q", r.Failure, c.out)
		}
	}
	if r, _ := eval(t, w, "precious"); value(r) != "42" {
		t.Errorf("precious is %s", value(r))
	}
}

// front is an output with comms.
type front struct {
	transcript
	mu     sync.Mutex
	opened []comm.Message
}

func (f *front) Comm(m comm.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.Kind == comm.Opening {
		f.opened = append(f.opened, m)
	}
}

// slider returns the comm of a slider that a cell has shown.
func (f *front) slider(t *testing.T) string {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.opened {
		if strings.Contains(string(m.Data), "FloatSliderModel") {
			return m.ID
		}
	}
	t.Fatalf("no slider among %d controls", len(f.opened))
	return ""
}

// move moves a slider, and does not wait for what that sets off.
func move(t *testing.T, w *Worker, slider string) *started {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &started{t, &transcript{}, cancel, make(chan engine.Result, 1)}
	data, err := json.Marshal(map[string]any{"method": "update", "state": map[string]any{"value": 4}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		f, err := w.Comm(ctx, comm.Message{Kind: comm.Sending, ID: slider, Data: data}, s.out)
		if err != nil {
			t.Error(err)
		}
		s.done <- engine.Result{Failure: f}
	}()
	t.Cleanup(cancel)
	return s
}

func TestInterruptOfASlidersCallbackBesideACell(t *testing.T) {
	for _, reaches := range []string{"the callback", "the cell"} {
		t.Run(reaches, func(t *testing.T) {
			w := newWorker(t)
			file := filepath.Join(t.TempDir(), "enough")
			loop := strings.SplitN(looking, "\n", 2)
			shown := &front{}
			ctx, cancel := context.WithTimeout(context.Background(), hangs)
			defer cancel()
			if r, err := w.Eval(ctx, engine.Cell{Number: 1,
				Source: fmt.Sprintf(loop[0]+"\nui.Slider(\"ε\", 0, 8, func(v float64) {\n"+loop[1]+"\n})", file)},
				shown); err != nil || r.Failure != nil {
				t.Fatalf("%+v, %v", r.Failure, err)
			}
			cell := begin(t, w, fmt.Sprintf(looking, file))
			cell.wait("begun")
			moved := move(t, w, shown.slider(t))
			moved.wait("begun")
			one, other := moved, cell
			if reaches == "the cell" {
				one, other = cell, moved
			}
			one.stop()
			one.interrupted()
			other.runs()
			touch(t, file)
			if r := other.end(); r.Failure != nil || !strings.Contains(other.out.String(), "whole") {
				t.Errorf("the other ended with %+v, and shows %q", r.Failure, other.out)
			}
		})
	}
}
