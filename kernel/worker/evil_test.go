package worker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// evil is a cell that does its process harm.
type evil struct {
	name, cell string
	// failure is what the cell's failure is called, and message what it says; an empty name means that it goes well.
	failure, message string
	// lost says that the process is gone with all variables.
	lost bool
	// interrupt says that the cell does not end by itself.
	interrupt bool
	// outside is done to the process while the cell runs.
	outside func(w *Worker)
	// only is the one engine that the cell is run by.
	only string
}

// hangs is how long a test waits for what has to come before it fails, on a machine however busy; what cells really
// take is in bench/RESULTS.md.
const hangs = 10 * time.Minute

// prime says "begun" when it is in the midst of library code that asks nobody whether it is to stop.
const prime = `go func() {
	for all := make([]byte, 1<<20); !strings.Contains(string(all[:runtime.Stack(all, true)]), "Int).ProbablyPrime"); {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("begun")
}()
new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 521), big.NewInt(1)).ProbablyPrime(1 << 30)`

var evils = []evil{
	{name: "panic", cell: `panic("no")`, failure: "Panic", message: "no"},
	{name: "panic with an error whose method panics",
		cell:    "type bad struct{}\nfunc (bad) Error() string { panic(1) }\nvar err error = bad{}\npanic(err)",
		failure: "Error", message: "whose methods panic"},
	{name: "panic with much to say", cell: `panic(strings.Repeat("long ", 10_000_000))`, failure: "Panic",
		message: "long long"},
	{name: "panic in a goroutine", cell: "go func() { panic(\"over there\") }()\ntime.Sleep(10*time.Second)",
		failure: "Panic", message: "over there"},
	{name: "panic in a named function's goroutine", cell: "func far(a int, b ...string) { panic(fmt.Sprint(a, b)) }\nx " +
		":= []string{\"y\", \"z\"}\ngo far(3, x...)\ntime.Sleep(10*time.Second)", failure: "Panic", message: "3 [y z]"},
	{name: "panic in a method's goroutine", cell: "var n *sync.WaitGroup\ngo n.Add(\n\t1)\ntime.Sleep(10*time.Second)",
		failure: "Panic", message: "nil pointer"},
	{name: "panic in a goroutine of a library",
		cell: "time.AfterFunc(0, func() { panic(\"in a timer\") })\ntime.Sleep(10*time.Second)", failure: "WorkerLost",
		message: "in a timer", lost: true},
	{name: "nil map", cell: "var m map[string]int\nm[\"a\"] = 1", failure: "Panic", message: "nil map"},
	{name: "nil pointer", cell: "var p *image.RGBA\np.Pix[0] = 1", failure: "Panic", message: "nil pointer"},
	{name: "library panic", cell: `tensors.MustFromAnyValue("x").Shape().Dim(7)`, failure: "Error"},
	{name: "stack overflow", cell: "func f(n int) int { return f(n+1) + 1 }\nf(0)", failure: "WorkerLost",
		message: "stack", lost: true},
	{name: "concurrent map writes",
		cell:    "m := map[int]int{}\nfor i := 0; i < 8; i++ { go func() { for { m[1] = 2 } }() }\ntime.Sleep(10*time.Second)",
		failure: "WorkerLost", message: "concurrent map", lost: true},
	{name: "deadlock on a channel", cell: "<-make(chan int)", failure: "Interrupted", interrupt: true},
	{name: "deadlock on a mutex", cell: "var mu sync.Mutex\nmu.Lock()\nmu.Lock()", failure: "Interrupted",
		interrupt: true},
	{name: "endless loop", cell: "for {}", failure: "Interrupted", interrupt: true},
	{name: "endless loop with work", cell: "n := 0\nfor { n++ }", failure: "Interrupted", interrupt: true},
	{name: "endless recursion by goto", cell: "again:\ngoto again", failure: "Interrupted", interrupt: true},
	{name: "endless loop in deferred calls", cell: "func f() { defer func() { for {} }(); panic(1) }\nf()",
		failure: "Interrupted", interrupt: true},
	{name: "recovers from everything",
		cell: "for { func() { defer func() { recover() }(); time.Sleep(time.Millisecond) }() }", failure: "Interrupted",
		interrupt: true},
	{name: "library code that does not look up", cell: prime, failure: "Interrupted", message: "a second Stop", lost: true,
		interrupt: true},
	{name: "a stopped process", cell: "syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)\ntime.Sleep(10*time.Second)",
		failure: "Interrupted", message: "a second Stop", lost: true, interrupt: true},
	{name: "exit", cell: "os.Exit(3)", failure: "Exit", message: "exit status 3"},
	{name: "exit in a goroutine", cell: "go os.Exit(4)\nselect {}", failure: "Exit", message: "exit status 4", only: "go"},
	{name: "the system's exit", cell: "syscall.Exit(5)", failure: "WorkerLost", message: "exit status 5", lost: true},
	{name: "Goexit", cell: "runtime.Goexit()", failure: "Goexit"},
	{name: "30 GB", cell: "hog := make([]byte, 30<<30)\nfor i := 0; i < len(hog); i += 4096 { hog[i] = 1 }",
		failure: "out of memory", lost: true},
	{name: "30 GB in pieces",
		cell:    "hog := [][]byte{}\nfor i := 0; i < 30<<4; i++ { hog = append(hog, bytes.Repeat([]byte{1}, 1<<26)) }",
		failure: "OutOfMemory", message: "GB of memory", lost: true},
	{name: "closes standard output", cell: "os.Stdout.Close()"},
	{name: "closes its descriptor", cell: "syscall.Close(1)"},
	{name: "takes standard output away", cell: "os.Stdout = nil"},
	{name: "closes the pipes to the kernel", cell: "os.NewFile(4, \"\").Close()\nos.NewFile(3, \"\").Close()",
		failure: "WorkerLost", message: "pipe to the kernel", lost: true},
	{name: "writes nonsense into the pipe to the kernel",
		cell:    "syscall.Write(4, []byte(strings.Repeat(\"nonsense\", 1000)))\ntime.Sleep(10*time.Second)",
		failure: "WorkerLost", message: "pipe to the kernel", lost: true},
	{name: "SIGSEGV in C", cell: "// static int poke(int *p) { return *p; }\nimport \"C\"\nC.poke(nil)",
		failure: "WorkerLost", message: "SIGSEGV", lost: true},
	{name: "abort in C", cell: "// #include <stdlib.h>\nimport \"C\"\nC.abort()", failure: "WorkerLost",
		message: "SIGABRT", lost: true},
	{name: "floods standard output",
		cell: "line := strings.Repeat(\"x\", 1<<20) + \"\\n\"\nfor i := 0; i < 1<<10; i++ { os.Stdout.WriteString(line) }"},
	{name: "prints when the cell has ended",
		cell: "go func() { time.Sleep(50*time.Millisecond); fmt.Println(\"late\") }()"},
	{name: "panics when the cell has ended", cell: "go func() { time.Sleep(20*time.Millisecond); panic(\"late\") }()\n1"},
	{name: "prints for ever", cell: "go func() { for { fmt.Println(\"spam\") } }()\n1"},
	{name: "shows for ever", cell: "go func() { for { display.Show(1) } }()\n1"},
	{name: "computes for ever in the background",
		cell: "for i := 0; i < 4; i++ { go func() { for n := 0; ; n++ {} }() }\n1"},
	{name: "unsafe write low", cell: "*(*int)(unsafe.Pointer(uintptr(8))) = 1", failure: "Panic",
		message: "invalid memory address"},
	{name: "unsafe write high", cell: "*(*int)(unsafe.Pointer(uintptr(1)<<46)) = 1", failure: "WorkerLost",
		message: "fault", lost: true},
	{name: "unsafe write over the heap", cell: "p := uintptr(unsafe.Pointer(new(int)))\nfor i := uintptr(0); ; i += 8 " +
		"{ *(*uintptr)(unsafe.Pointer(p + i)) = 0xdeadbeef }", failure: "WorkerLost", lost: true},
	{name: "many goroutines", cell: "for i := 0; i < 100000; i++ { go func() { select {} }() }"},
	{name: "a value whose String method never returns",
		cell: "type slow struct{}\nfunc (slow) String() string { for {} }\nslow{}", failure: "Interrupted", interrupt: true},
	{name: "a value whose String method panics",
		cell: "type bad struct{}\nfunc (bad) String() string { panic(\"shy\") }\nbad{}"},
	{name: "killed from outside", cell: "time.Sleep(10*time.Second)", failure: "WorkerLost", message: "signal: killed",
		lost: true, outside: func(w *Worker) { syscall.Kill(w.Pid(), syscall.SIGKILL) }},
	{name: "killed from outside while a program of its holds its output",
		cell:    "c := exec.Command(\"sleep\", \"3\")\nc.Stdout = os.Stdout\nc.Start()\ntime.Sleep(10*time.Second)",
		failure: "WorkerLost", message: "signal: killed", lost: true,
		outside: func(w *Worker) { syscall.Kill(w.Pid(), syscall.SIGKILL) }},
	{name: "terminated from outside", cell: "time.Sleep(10*time.Second)", failure: "WorkerLost",
		message: "signal: terminated", lost: true, outside: func(w *Worker) { syscall.Kill(w.Pid(), syscall.SIGTERM) }},
}

// counter is an output that keeps the last of what comes, and whether a cell has said that it has begun.
type counter struct {
	bytes atomic.Int64
	last  atomic.Pointer[string]
	begun atomic.Bool
}

// stopped says whether the system has stopped a process.
func stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") T ")
}

func (c *counter) Text(_ engine.Stream, text string) {
	c.bytes.Add(int64(len(text)))
	c.last.Store(&text)
	if strings.Contains(text, "begun") {
		c.begun.Store(true)
	}
}
func (c *counter) Display(mime.Bundle, bool) { c.bytes.Add(1) }
func (c *counter) Clear(bool)                {}

// Whatever a cell does, in either tier, the next one runs, and what was defined is kept or said to be lost.
func TestEvilCells(t *testing.T) {
	for _, tier := range []string{"go", "yaegi"} {
		t.Run(tier, func(t *testing.T) {
			t.Parallel() // much of it is waiting
			w := newWorker(t)
			for _, c := range evils {
				if c.only != "" && c.only != tier {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					if strings.HasSuffix(c.name, "in C") {
						if _, err := exec.LookPath("gcc"); err != nil {
							t.Skip("skipped: needs gcc")
						}
					}
					w.options.MustBeLeft = 0
					if strings.HasPrefix(c.name, "30 GB") {
						// As on a machine of which 1 GB can be taken, with which a process may be ended at the
						// earliest.
						w.options.MustBeLeft = available("/") - 1<<30
					}
					eval(t, w, "%engine "+tier)
					eval(t, w, "precious := 42")
					tried(t, w, c)
					healthy(t, w, c)
				})
			}
		})
	}
}

// tried runs the evil cell.
func tried(t *testing.T, w *Worker, c evil) {
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	before := w.Pid()
	out := &counter{}
	if c.interrupt || c.outside != nil {
		if !strings.Contains(c.cell, "begun") {
			c.cell = "fmt.Println(\"begun\")\n" + c.cell
		}
		go func() { // what is done to a cell is done when it has begun
			for ctx.Err() == nil && !(c.name == "a stopped process" && stopped(w.Pid())) &&
				!(c.name != "a stopped process" && out.begun.Load()) {
				time.Sleep(5 * time.Millisecond)
			}
			if c.interrupt {
				cancel()
			} else {
				c.outside(w)
			}
		}()
	}
	insist := hangs
	if c.interrupt && c.lost {
		insist = 100 * time.Millisecond // an interrupt alone does not end it
	}
	defer engine.Unattended(ctx, w, insist)()
	start := time.Now()
	r, err := w.Eval(ctx, engine.Cell{Number: 1, Source: c.cell}, out)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	f := r.Failure
	switch {
	case c.failure == "":
		if f != nil {
			t.Fatalf("%s: %s", f.Name, f.Message)
		}
	case c.failure == "out of memory":
		// Either the system refuses at once, or it is noticed while the memory is filled.
		if f == nil || f.Name != "OutOfMemory" && !strings.Contains(f.Message, "memory") {
			t.Fatalf("%+v", f)
		}
	case f == nil:
		t.Fatalf("it goes well, want %s", c.failure)
	case f.Name != c.failure || !strings.Contains(f.Message, c.message):
		t.Fatalf("%s: %s, want %s with %q", f.Name, cut(f.Message), c.failure, c.message)
	}
	if f != nil {
		if n := len(f.Message) + len(strings.Join(f.Traceback, "\n")); n > 1<<20 {
			t.Errorf("the failure has %d bytes", n)
		}
		if c.lost && !strings.Contains(f.Message, "precious") {
			t.Errorf("%q does not say what was lost", f.Message)
		}
		if !c.lost && w.Pid() != before {
			t.Errorf("the process was lost: %s", f.Message)
		}
	}
	t.Logf("%v, %d bytes; %s", took.Round(time.Millisecond), out.bytes.Load(), message(f))
}

func cut(s string) string { return s[:min(len(s), 300)] }

func message(f *engine.Failure) string {
	if f == nil {
		return "no failure"
	}
	return f.Name + ": " + cut(f.Message)
}

// healthy runs a cell that has to go well, and to print what it prints.
func healthy(t *testing.T, w *Worker, c evil) {
	start := time.Now()
	r, out := eval(t, w, "fmt.Println(\"still here\")\n6*7")
	if value(r) != "42" || !strings.Contains(out, "still here") {
		t.Fatalf("the next cell gives %s and prints %q", value(r), cut(out))
	}
	t.Logf("the next cell took %v", time.Since(start).Round(time.Millisecond))
	if r, _ := eval(t, w, "precious"); !c.lost && value(r) != "42" {
		t.Errorf("precious is %s", value(r))
	}
}

// What a cell has left behind goes on when the cell has ended, asleep or not.
func TestWhatIsLeftBehindGoesOn(t *testing.T) {
	w := newWorker(t)
	for _, tier := range []string{"go", "yaegi"} {
		eval(t, w, "%engine "+tier)
		out := &transcript{}
		if r, err := w.Eval(context.Background(), engine.Cell{Number: 1,
			Source: "late := func() { time.Sleep(100*time.Millisecond); fmt.Println(\"late\"); display.Show(7) }\ngo late()"},
			out); err != nil || r.Failure != nil {
			t.Fatalf("%v %v", err, r.Failure)
		}
		// A silent cell, which nobody sees, does not take it.
		w.Eval(context.Background(), engine.Cell{Number: 1, Source: "1", Silent: true}, &transcript{})
		for end := time.Now().Add(hangs); !strings.HasSuffix(out.String(), "stdout:late\n|display(false):7"); time.Sleep(
			5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %q", tier, out)
			}
		}
	}
}

// A goroutine that panics while its cell ends fails the cell, or is told of after it.
func TestAPanicIsNotLostWhileACellEnds(t *testing.T) {
	w := newWorker(t)
	for _, tier := range []string{"go", "yaegi"} {
		eval(t, w, "%engine "+tier)
		for range 50 {
			out := &transcript{}
			r, err := w.Eval(context.Background(), engine.Cell{Number: 1, Source: "go func() { panic(\"over there\") }()"}, out)
			if err != nil {
				t.Fatal(err)
			}
			if r.Failure != nil {
				continue
			}
			for end := time.Now().Add(hangs); !strings.Contains(out.String(), "over there"); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s: the cell went well, and nothing is said of the panic: %q", tier, out)
				}
			}
		}
	}
}

// An interrupt between cells ends what they have left running.
func TestWhatIsLeftRunningCanBeStopped(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "n := 0\ngo func() { for { n++ } }()\ngo func() { for { fmt.Println(\"spam\") } }()")
	w.StopBackground()
	for deadline := time.Now().Add(hangs); ; time.Sleep(10 * time.Millisecond) {
		_, out := eval(t, w, "before := n\ntime.Sleep(20*time.Millisecond)\nfmt.Print(n == before)")
		if out == "stdout:true" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it still runs: %q", cut(out))
		}
	}
}

func TestKilledBetweenCells(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "precious := 1")
	syscall.Kill(w.Pid(), syscall.SIGKILL)
	r, out := eval(t, w, "6*7")
	if value(r) != "42" && (r.Failure == nil || r.Failure.Name != "WorkerLost") {
		t.Fatalf("%+v", r)
	}
	if said := fmt.Sprint(out, r.Failure); !strings.Contains(said, "precious") {
		t.Errorf("nothing says what was lost: %s", said)
	}
	if r, _ = eval(t, w, "6*7"); value(r) != "42" {
		t.Fatalf("the second cell gives %s", value(r))
	}
}

func TestAvailableMemory(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(root+"/"+name[:strings.LastIndex(name, "/")], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := available(root); got != -1 {
		t.Errorf("nothing known: %d", got)
	}
	write("proc/meminfo", "MemTotal:       24683656 kB\nMemAvailable:       1000 kB\n")
	if got := available(root); got != 1000<<10 {
		t.Errorf("of the system: %d", got)
	}
	write("sys/fs/cgroup/memory.max", "max\n")
	write("sys/fs/cgroup/memory.current", "500000\n")
	if got := available(root); got != 1000<<10 {
		t.Errorf("no limit of the group: %d", got)
	}
	write("sys/fs/cgroup/memory.max", "600000\n")
	write("sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 100\n")
	if got := available(root); got != 100100 {
		t.Errorf("a limit of the group: %d", got)
	}
}
