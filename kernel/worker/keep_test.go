package worker

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// interruptWhen evaluates a cell and interrupts it once it has printed "now".
func interruptWhen(t *testing.T, w *Worker, source string, out interface {
	engine.Output
	String() string
}) engine.Result {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan engine.Result, 1)
	go func() {
		r, err := w.Eval(ctx, engine.Cell{Number: 1, Source: source}, out)
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	for deadline := time.Now().Add(hangs); !strings.Contains(out.String(), "now"); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q printed %q", source, out.String())
		}
	}
	cancel()
	return <-done
}

// What waits is ended by an interrupt without the statements behind it and without the loss of anything.
func TestInterruptKeepsVariables(t *testing.T) {
	w := newWorker(t)
	pid := w.Pid()
	for _, c := range []struct{ name, cell string }{
		{"loop", `fmt.Print("now"); for {}; n = 0`},
		{"sleep", "fmt.Print(`now`)\ntime.Sleep(time.Hour)\nn = 0"},
		{"sleep in a function", "func nap() { time.Sleep(time.Hour); n = 0 }\nfmt.Print(`now`)\nnap()\nn = 0"},
		{"sleep in a loop", "fmt.Print(`now`)\nfor { time.Sleep(time.Hour); n = 0 }"},
		{"sleep as the last expression", "func nap() int { fmt.Print(`now`); time.Sleep(time.Hour); return 1 }\nnap()"},
		{"sleep in a definition", "func nap() int { fmt.Print(`now`); time.Sleep(time.Hour); return 1 }\nn := nap()"},
		{"channel", "c := make(chan int)\nfmt.Print(`now`)\n<-c\nn = 0"},
		{"select", "fmt.Print(`now`)\nselect {}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eval(t, w, "n := 42")
			r := interruptWhen(t, w, c.cell, &transcript{})
			if r.Failure == nil || r.Failure.Name != "Interrupted" {
				t.Fatalf("%+v", r)
			}
			if r, _ := eval(t, w, "n"); value(r) != "42" {
				t.Errorf("n is %s", value(r))
			}
		})
	}
	if w.Pid() != pid {
		t.Error("an interrupt has cost the process")
	}
}

func TestDeferredCallsRunAtAnInterrupt(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "closed := false\nfunc work() { defer func() { closed = true }(); fmt.Print(`now`); time.Sleep(time.Hour) }")
	interruptWhen(t, w, "work()", &transcript{})
	if r, _ := eval(t, w, "closed"); value(r) != "true" {
		t.Errorf("closed is %s", value(r))
	}
}

// Looking at the names behind a cell that did not compile must not cost the process.
func TestCompletionAfterACompileError(t *testing.T) {
	w := newWorker(t)
	pid := w.Pid()
	eval(t, w, "precious := 42\nx := []string{`a`}")
	if r, _ := eval(t, w, "x := []string{1}"); r.Failure == nil {
		t.Fatal("the cell did not fail")
	}
	matches, _, _, err := w.Complete(context.Background(), "precio", 6)
	if err != nil || len(matches) != 1 {
		t.Errorf("%v, %v", matches, err)
	}
	if r, _ := eval(t, w, "precious"); value(r) != "42" || w.Pid() != pid {
		t.Errorf("precious is %s in process %d, was %d", value(r), w.Pid(), pid)
	}
}

func TestEndBetweenCellsIsSaid(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "precious := 1")
	p := w.proc
	syscall.Kill(w.Pid(), syscall.SIGKILL)
	<-p.ended
	// A completion starts the new process, and must not be what swallows the news.
	w.Complete(context.Background(), "prec", 4)
	r, out := eval(t, w, "6*7")
	if value(r) != "42" || !strings.HasPrefix(out, "stderr:worker: ") || !strings.Contains(out, "killed") ||
		!strings.Contains(out, "precious") {
		t.Errorf("%s, said %q", value(r), out)
	}
	if _, out = eval(t, w, "1"); out != "" {
		t.Errorf("said again: %q", out)
	}
}

func TestKilledWhileACellRuns(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "precious := 1")
	pid := w.Pid()
	out := &transcript{}
	done := make(chan engine.Result, 1)
	go func() {
		r, _ := w.Eval(context.Background(), engine.Cell{Source: "fmt.Print(`now`)\nfor {}"}, out)
		done <- r
	}()
	for !strings.Contains(out.String(), "now") {
		time.Sleep(2 * time.Millisecond)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	r := <-done
	if r.Failure == nil || r.Failure.Name != "WorkerLost" || !strings.Contains(r.Failure.Message, "killed") ||
		!strings.Contains(r.Failure.Message, "precious") {
		t.Fatalf("%+v", r.Failure)
	}
	if r, out := eval(t, w, "6*7"); value(r) != "42" || out != "" {
		t.Errorf("the next cell gives %s and %q", value(r), out)
	}
}

func TestDisplayIsUpdatedByItsID(t *testing.T) {
	w := newWorker(t)
	out := &ids{}
	r, err := w.Eval(context.Background(), engine.Cell{Source: "p := progress.New(`work`, 3)\nfor i := 0; i < 3; i++ " +
		"{\n\ttime.Sleep(600 * time.Millisecond)\n\tp.Add(1)\n}\np.Close()"}, out)
	if err != nil || r.Failure != nil {
		t.Fatalf("%+v, %v", r.Failure, err)
	}
	if len(out.seen) < 2 || out.seen[0].update || out.seen[0].id == "" {
		t.Fatalf("displays %+v", out.seen)
	}
	for _, d := range out.seen[1:] {
		if !d.update || d.id != out.seen[0].id {
			t.Errorf("displays %+v, want updates of the first", out.seen)
		}
	}
}

// ids remembers which display each bundle was for.
type ids struct {
	transcript
	seen []shown
}

type shown struct {
	id     string
	update bool
}

func (o *ids) Display(b mime.Bundle, update bool) { o.seen = append(o.seen, shown{b.ID, update}) }

// person is a front end at which somebody types the lines, and then thinks for ever.
type person struct {
	transcript
	lines   []string
	refusal error
	ends    bool // there is no more to be read behind the lines; the last one has no end
}

func (o *person) Input(ctx context.Context, prompt string, password bool) (string, error) {
	if o.refusal != nil {
		return "", o.refusal
	}
	if len(o.lines) == 0 && o.ends {
		return "", io.EOF
	}
	if len(o.lines) == 0 {
		o.add("now")
		<-ctx.Done()
		return "too late", nil
	}
	line := o.lines[0]
	o.lines = o.lines[1:]
	o.add("typed:%s", line)
	if o.ends && len(o.lines) == 0 {
		return line, io.EOF
	}
	return line, nil
}

// Standard input is bytes, with an end.
func TestStandardInputEnds(t *testing.T) {
	w := newWorker(t)
	for _, cell := range []string{
		"data, err := io.ReadAll(os.Stdin)\nstring(data), err",
		"var in io.Reader = os.Stdin\ndata, err := io.ReadAll(in)\nstring(data), err",
		"in := struct{ R io.Reader }{R: os.Stdin}\ndata, err := io.ReadAll(in.R)\nstring(data), err",
		"func input() io.Reader { return os.Stdin }\ndata, err := io.ReadAll(input())\nstring(data), err",
		"var data []byte\nvar err error\nfor b := make([]byte, 3); err == nil; {\nvar n int\nn, err = " +
			"os.Stdin.Read(b)\ndata = append(data, b[:n]...)\n}\nif err == io.EOF { err = nil }\nstring(data), err",
	} {
		out := &person{lines: []string{"one\r", "", "\x00\xff", "last"}, ends: true}
		r, err := w.Eval(context.Background(), engine.Cell{Source: cell}, out)
		if want := `"one\r\n\n\x00\xff\nlast", <nil>`; err != nil || value(r) != want {
			t.Errorf("%q = %s, %v, want %s", cell, value(r), err, want)
		}
	}
	r, err := w.Eval(context.Background(),
		engine.Cell{Source: "_, err := bufio.NewReader(os.Stdin).ReadByte()\nerr == io.EOF"}, &person{ends: true})
	if err != nil || value(r) != "true" {
		t.Errorf("at the end: %s, %v", value(r), err)
	}
}

func TestStandardInputAsksThePerson(t *testing.T) {
	w := newWorker(t)
	for _, c := range []struct {
		cell, answer string
		lines        []string
		output       string
	}{
		{"var name string\nvar age int\nfmt.Print(`who? `)\nfmt.Scanln(&name, &age)\nname + strconv.Itoa(age)", `"Ada36"`,
			[]string{"Ada 36"}, "stdout:who? |typed:Ada 36"},
		{"s := bufio.NewScanner(os.Stdin)\ns.Scan()\na := s.Text()\ns.Scan()\na + s.Text()", `"größe2"`,
			[]string{"größe", "2"}, "typed:größe|typed:2"},
		{"bufio.NewReader(os.Stdin).ReadString('\\n')", `"a b\n"`, []string{"a b"}, "typed:a b"},
	} {
		out := &person{lines: c.lines}
		r, err := w.Eval(context.Background(), engine.Cell{Source: c.cell}, out)
		if err != nil || value(r) != c.answer {
			t.Errorf("%q = %s, %v, want %s", c.cell, value(r), err, c.answer)
		}
		if out.String() != c.output {
			t.Errorf("%q: %s, want %s", c.cell, out.String(), c.output)
		}
	}
}

// A command that reads gets what the person types, and does not wait for what it has not read when it ends.
func TestCommandsAskThePerson(t *testing.T) {
	w := newWorker(t)
	for _, c := range []struct{ cell, output string }{
		{"%with_inputs\n!read a; echo \"got $a\"; exit", "typed:one|stdout:got one\n"},
		{"%with_password\n!read a; read b; echo \"got $a $b\"", "typed:one|typed:two|stdout:got one two\n"},
		{"!read a; echo \"got $a\"", "stdout:got \n"},
	} {
		out := &person{lines: []string{"one", "two"}}
		ctx, cancel := context.WithTimeout(context.Background(), hangs)
		r, err := w.Eval(ctx, engine.Cell{Source: c.cell}, out)
		cancel()
		if err != nil || r.Failure != nil {
			t.Errorf("%q: %+v, %v", c.cell, r.Failure, err)
		}
		// How far the questions run ahead of the command is a matter of chance.
		if got := strings.ReplaceAll(strings.ReplaceAll(out.String(), "|now", ""), "typed:two|stdout:got one\n",
			"stdout:got one\n"); got != c.output && got != c.output+"|typed:two" {
			t.Errorf("%q: %s, want %s", c.cell, got, c.output)
		}
	}
	if _, out := eval(t, w, "%with_inputs\n!read a"); !strings.Contains(out, "cannot ask for a line") {
		t.Errorf("a front end without questions: %s", out)
	}
}

func TestQuestionsThatNobodyAnswers(t *testing.T) {
	w := newWorker(t)
	const cell = "var s string\n_, err := fmt.Scanln(&s)\nerr.Error()"
	if r, _ := eval(t, w, cell); !strings.Contains(value(r), "cannot ask for a line") {
		t.Errorf("a front end without questions: %s", value(r))
	}
	r, err := w.Eval(context.Background(), engine.Cell{Source: cell}, &person{refusal: errors.New("stdin is off")})
	if err != nil || !strings.Contains(value(r), "stdin is off") {
		t.Errorf("a front end that refuses: %s, %v", value(r), err)
	}
	// An interrupt takes the question back, and the answer that comes late is not for the next one.
	eval(t, w, "n := 42")
	if r := interruptWhen(t, w, "fmt.Scanln(&n)\nn = 0", &person{}); r.Failure == nil || r.Failure.Name != "Interrupted" {
		t.Errorf("%+v", r)
	}
	if r, _ := eval(t, w, "n"); value(r) != "42" {
		t.Errorf("n is %s", value(r))
	}
	r, err = w.Eval(context.Background(), engine.Cell{Source: "var t string\nfmt.Scanln(&t)\nt"},
		&person{lines: []string{"fresh"}})
	if err != nil || value(r) != `"fresh"` {
		t.Errorf("the next question gives %s, %v", value(r), err)
	}
}

// What cells print that run at a time goes to each its own.
func TestCellsSideBySidePrintToTheirOwn(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "begun := make(chan bool, 1)\nover := make(chan bool)")
	for _, magic := range []string{"", "%%go\n"} {
		first, second := &transcript{}, &transcript{}
		done := make(chan engine.Result)
		go func() {
			r, _ := w.Eval(context.Background(), engine.Cell{Number: 11, Source: magic +
				"fmt.Println(`first begins`)\nbegun <- true\nfor range 3 {\n<-over\nfmt.Printf(\"%s\\n\", `first goes on`)\n}"},
				first)
			done <- r
		}()
		r, err := w.Eval(context.Background(), engine.Cell{Number: 12, Source: magic +
			"<-begun\nfor range 3 {\nfmt.Println(`second`)\nover <- true\ntime.Sleep(20 * time.Millisecond)\n}"}, second)
		if err != nil || r.Failure != nil {
			t.Fatalf("%+v, %v", r.Failure, err)
		}
		if r := <-done; r.Failure != nil {
			t.Fatalf("%+v", r.Failure)
		}
		one, two := strings.ReplaceAll(first.String(), "|stdout:", ""), strings.ReplaceAll(second.String(), "|stdout:", "")
		if one != "stdout:first begins\n"+strings.Repeat("first goes on\n", 3) ||
			two != "stdout:"+strings.Repeat("second\n", 3) {
			t.Errorf("%q: the first printed %q, the second %q", magic, one, two)
		}
	}
}
