package worker

import (
	"context"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/engine"
)

// Whatever a value is, it can be looked at, in each of the ways, and nothing is lost.
func TestAnyValueCanBeLookedAt(t *testing.T) {
	w := newWorker(t)
	pid := w.Pid()
	eval(t, w, "precious := 42")
	for _, c := range []struct{ name, cell, shown string }{
		{"a map in itself", "type M map[string]any\nv := M{}\nv[\"self\"] = v", "map[self:map[…]]"},
		{"a slice in itself", "v := []any{1, nil}\nv[1] = v", "[1 […]]"},
		{"a slice type of itself", "type S []S\nv := S{nil}\nv[0] = v", "[[…]]"},
		{"a pointer to itself", "type P *P\nvar v P\nv = &v", "0x"},
		{"two in each other", "type A struct{ B *B }\ntype B struct{ A *A }\nv := &A{&B{}}\nv.B.A = v", "&{B:0x"},
		{"maps behind pointers", "type N struct{ Next map[string]N }\nv := N{map[string]N{}}\nv.Next[\"n\"] = v",
			"{Next:map[n:{Next:map[…]}]}"},
		{"values deep in each other", "var v any\nfor range 1_000_000 { v = []any{v} }", "[[["},
		{"a map deep in each other", "var v any\nfor range 1_000_000 { v = map[int]any{1: v} }", "map[1:map[1:"},
		{"a String method that calls itself",
			"type T struct{ n int }\nfunc (t T) String() string { return fmt.Sprintf(\"T(%v)\", t) }\nv := T{1}",
			"<main.T whose methods call each other without end>"},
		{"an Error method that calls itself",
			"type E struct{ n int }\nfunc (e *E) Error() string { return e.Error() + \"!\" }\nv := &E{1}",
			"<*main.E whose methods call each other without end>"},
		{"a Format method that calls itself",
			"type F int\nfunc (f F) Format(s fmt.State, c rune) { fmt.Fprintf(s, \"%v\", f) }\nv := []F{1}",
			"whose methods call each other without end>"},
		{"a String method within",
			"type T struct{ n int }\nfunc (t T) String() string { return fmt.Sprint(t) }\nv := map[string][]T{\"a\": {{1}}}",
			"whose methods call each other without end>"},
		{"a String method that panics", "type T struct{ n int }\nfunc (t T) String() string { panic(\"shy\") }\nv := T{1}",
			"%!v(PANIC=String method: shy)"},
		{"a String method of a nil pointer",
			"type T struct{ n int }\nfunc (t *T) String() string { return strconv.Itoa(t.n) }\nvar v *T", "<nil>"},
		{"a GoString method that panics", "type T struct{ n int }\nfunc (t T) GoString() string { panic(1) }\nv := T{1}",
			"{n:1}"},
		{"a huge slice", "v := make([]int, 50_000_000)", "50000000 in all"},
		{"a huge array behind a pointer", "v := new([50_000_000]byte)", "50000000 in all"},
		{"a huge slice within", "v := struct{ A [][]byte }{[][]byte{make([]byte, 50_000_000)}}", "{A:[[0 0"},
		{"a huge map", "v := map[int]int{}\nfor i := range 300_000 { v[i] = i }", "300000 in all"},
		{"a huge string", "v := strings.Repeat(\"long \", 20_000_000)", "100000000 characters in all"},
		{"a picture of 10⁹ pixels", "type big struct{}\nfunc (big) ColorModel() color.Model { return color.GrayModel " +
			"}\nfunc (big) Bounds() image.Rectangle { return image.Rect(0, 0, 50_000, 20_000) }\nfunc (big) At(x, y int) " +
			"color.Color { return color.Gray{uint8(x)} }\nv := big{}", "<image 50000 x 20000>"},
		{"a rectangle", "v := image.Rect(0, 0, 40_000, 1)", "(0,0)-(40000,1)"},
		{"rectangles", "v := []image.Rectangle{image.Rect(0, 0, 2, 2)}", "(0,0)-(2,2)"},
		{"a rectangle as an image", "v := []image.Image{image.Rect(0, 0, 2, 2)}", "[(0,0)-(2,2)]"},
		{"what a rectangle is embedded in",
			"type box struct{ image.Rectangle; name string }\nv := box{image.Rect(0, 0, 2, 2), \"b\"}", "(0,0)-(2,2)"},
		{"one colour", "v := image.White", "&{C:{Y:65535}}"},
		{"a colour", "v := color.RGBA{1, 2, 3, 4}", "{R:1 G:2 B:3 A:4}"},
		{"a value of package reflect", "v := reflect.ValueOf([]int{1})", "[1]"},
		{"a lock that is held", "v := &sync.Mutex{}\nv.Lock()", "&{"},
		{"fields that are not exported",
			"type inner struct{ m map[string]error }\nv := struct{ i *inner; e error }{e: io.EOF}", "{i:<nil> e:0x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r, _ := eval(t, w, c.cell); r.Failure != nil {
				t.Fatal(r.Failure.Message)
			}
			shown := c.shown
			if i := strings.Index(shown, "0x"); i >= 0 {
				shown = shown[:i+2]
			}
			if r, _ := eval(t, w, "v"); !strings.Contains(value(r), shown) {
				t.Errorf("shown as %s, want %s", cut(value(r)), c.shown)
			} else if n := len(value(r)); n > 1<<16 {
				t.Errorf("shown in %d bytes", n)
			}
			if r, _ := eval(t, w, "%whos"); !strings.Contains(value(r), "precious") {
				t.Errorf("%%whos says %s", cut(value(r)))
			}
			if b, found, err := w.Inspect(context.Background(), "v", 1, 0); err != nil || !found ||
				!strings.Contains(b.Data["text/plain"], shown) {
				t.Errorf("looked at: %s, %v, want %s", cut(b.Data["text/plain"]), err, c.shown)
			}
			if r, _ := eval(t, w, "precious"); value(r) != "42" || w.Pid() != pid {
				t.Fatalf("precious is %s in process %d, was %d", value(r), w.Pid(), pid)
			}
			eval(t, w, "%rm v")
		})
	}
}

// A look at a value waits only so long for its methods, and does not disturb what changes it.
func TestLookingDoesNotHang(t *testing.T) {
	w := newWorker(t)
	pid := w.Pid()
	eval(t, w, "type T struct{ mu *sync.Mutex }\nfunc (t T) String() string { t.mu.Lock(); return \"T\" }\nv := "+
		"T{new(sync.Mutex)}\nv.mu.Lock()\nprecious := 42")
	if r, _ := eval(t, w, "%whos"); !strings.Contains(value(r), "whose methods take longer than") ||
		!strings.Contains(value(r), "42") {
		t.Errorf("%%whos says %s", value(r))
	}
	if b, _, _ := w.Inspect(context.Background(), "v", 1, 0); !strings.Contains(b.Data["text/plain"],
		"whose methods take longer than") {
		t.Errorf("looked at: %s", b.Data["text/plain"])
	}
	eval(t, w, "type X struct{}\nfunc (X) String() string { os.Exit(3); return \"X\" }\nx := X{}")
	if b, _, _ := w.Inspect(context.Background(), "x", 1, 0); !strings.Contains(b.Data["text/plain"],
		"whose methods want to end the program") {
		t.Errorf("looked at: %s", b.Data["text/plain"])
	}
	eval(t, w, "v.mu.Unlock()\nm := map[int]any{}\ngo func() { for i := 0; ; i++ { m[i%1000] = i } }()")
	for range 20 {
		eval(t, w, "%whos")
		w.Inspect(context.Background(), "m", 1, 0)
	}
	if r, _ := eval(t, w, "precious"); value(r) != "42" || w.Pid() != pid {
		t.Errorf("precious is %s in process %d, was %d", value(r), w.Pid(), pid)
	}
}

// What a cell writes to its two streams comes in the order in which it writes it, whatever writes it.
func TestStreamsKeepTheirOrder(t *testing.T) {
	w := newWorker(t)
	for _, magic := range []string{"", "%%go\n"} {
		_, out := eval(t, w, magic+`log.SetFlags(0)
var both io.Writer = os.Stderr
for i := range 40 {
	fmt.Println("a", i)
	log.Println("b", i)
	os.Stdout.WriteString("c\n")
	println("d", i)
	fmt.Fprintln(os.Stderr, "e", i)
	fmt.Fprint(both, "f\n")
	fmt.Fprintln(io.MultiWriter(os.Stdout), "g")
	slog.Info("h")
}`)
		for _, cut := range []string{"stdout:", "stderr:", "|", "INFO "} {
			out = strings.ReplaceAll(out, cut, "")
		}
		var order strings.Builder
		for line := range strings.Lines(out) {
			order.WriteByte(line[0])
		}
		if want := strings.Repeat("abcdefgh", 40); order.String() != want {
			t.Errorf("%q printed in the order %s, want %s", magic, order.String(), want)
		}
	}
}

// What goroutines of an earlier cell print is that cell's, on both streams.
func TestLateTextGoesToItsOwnCell(t *testing.T) {
	w := newWorker(t)
	first, second := &transcript{}, &transcript{}
	w.Eval(context.Background(), engine.Cell{Number: 1, Source: `gate, over := make(chan bool), make(chan bool)
go func() {
	<-gate
	fmt.Println("late")
	fmt.Fprintln(os.Stderr, "wrong")
	log.SetFlags(0)
	log.Println("logged")
	over <- true
}()`}, first)
	r, err := w.Eval(context.Background(), engine.Cell{Number: 2,
		Source: "fmt.Println(1)\ngate <- true\n<-over\nfmt.Println(2)"}, second)
	if err != nil || r.Failure != nil {
		t.Fatalf("%v %v", err, r.Failure)
	}
	if got := first.String(); got != "stdout:late\n|stderr:wrong\n|stderr:logged\n" {
		t.Errorf("the first cell has %q", got)
	}
	if got := strings.ReplaceAll(second.String(), "|stdout:", ""); got != "stdout:1\n2\n" {
		t.Errorf("the second cell has %q", got)
	}
}

// What is written past package fmt is in its cell when that has ended.
func TestTextPastFmt(t *testing.T) {
	w := newWorker(t)
	for _, cell := range []string{
		`syscall.Write(1, []byte("text\n"))`,
		`os.NewFile(1, "").WriteString("text\n")`,
		"f := os.Stdout\nf.WriteString(\"text\\n\")",
		"c := exec.Command(\"echo\", \"text\")\nc.Stdout = os.Stdout\nerr := c.Run()",
		"c := &exec.Cmd{Path: \"/bin/echo\", Args: []string{\"echo\", \"text\"}, Stdin: os.Stdin, Stdout: os.Stdout}\nerr " +
			":= c.Run()",
		`bufio.NewWriter(os.Stdout).Flush(); os.Stdout.Write([]byte("text\n"))`,
	} {
		if r, out := eval(t, w, cell); out != "stdout:text\n" {
			t.Errorf("%q printed %q, %v", cell, out, r.Failure)
		}
	}
}

// A cell that takes os.Stdin for a file is told that this one has nothing in it.
func TestStdinAsAFile(t *testing.T) {
	w := newWorker(t)
	for _, cell := range []string{
		"in := os.Stdin\ndata, err := io.ReadAll(in)\nlen(data), err",
		"func all(f *os.File) (int, error) { data, err := io.ReadAll(f); return len(data), err }\nn, err := " +
			"all(os.Stdin)\nn, err",
		"var in = os.Stdin\ndata, err := io.ReadAll(in)\nlen(data), err",
	} {
		if r, out := eval(t, w, cell); value(r) != "0, <nil>" ||
			!strings.HasPrefix(out, "stderr:loupe: as a file, os.Stdin is empty") {
			t.Errorf("%q: %s, says %q", cell, value(r), out)
		}
	}
	for _, cell := range []string{"in := os.Stdin.Fd()\nin", "c := exec.Command(\"cat\")\nc.Stdin = os.Stdin\nc.Run()\n0",
		"os.Stdin == nil", "info := os.Stdin.Stat()\ninfo.IsDir()"} {
		if r, out := eval(t, w, cell); r.Failure != nil || out != "" {
			t.Errorf("%q: %s, says %q", cell, value(r), out)
		}
	}
}
