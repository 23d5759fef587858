package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"context"

	"github.com/loupeml/loupe/kernel/engine"
)

// Each cell runs in the same worker, and what it prints, gives and fails with matches the pattern.
func TestMagics(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LOUPE_HISTORY", "off")
	t.Setenv("LOUPE_TEST_NAME", "a value")
	w := newWorker(t)
	path := filepath.Join(dir, "cells.go")
	if err := os.WriteFile(path,
		[]byte("fromFile := 7\n// %%\nfmt.Println(fromFile * 6)\n// %%\nvar nothing []int\n_ = nothing[3]\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	number := 0
	for _, c := range []struct{ cell, want string }{
		{"%cd " + dir, regexp.QuoteMeta(dir)},
		{"%pwd", regexp.QuoteMeta(dir)},
		{"!echo one; echo two >&2", `one\n.*two\n|two\n.*one\n`},
		{"x := 20\n!echo {x + 1} $x ${HOME:+home} {a,b}\nx + 2", `stdout:21 20 home a b\n.* = 22`},
		{"!exit 3", `stderr:exit 3: exit status 3`},
		{"%%bash\necho $((6*7))\nfor i in 1 2; do echo $i; done", `42\n1\n2`},
		{"%%bash\nexit 4", `ShellError.*exit status 4`},
		{"%%sh\necho from sh", `from sh`},
		{"%%script sed s/a/b/\nbanana", `bbnana`},
		{"%%writefile note.txt\nline {x}\n", `note.txt written`},
		{"%%writefile -a note.txt\nmore\n", `note.txt appended to`},
		{"!cat note.txt", `line \{x\}\nmore`},
		{"%%html\n<b>bold</b>", `<b>bold</b>`},
		{"%time for i := range 3 { fmt.Print(i) }", `012CPU times: user .*Wall time: [\d.]+ .?s`},
		{"%time x + 5", `Wall time: .* = 25`},
		{"%%time\ny := x\ny++\ny", `Wall time.* = 21`},
		{"%%time\ny := 1\nz := nosuch", `undefined: nosuch.*cell \d+, line 3`},
		{"%timeit -n 1000 -r 3 x * 2", `± .* per loop \(mean ± std. dev. of 3 runs, 1,000 loops each\)`},
		{"%timeit -r2 -n10 strings.Repeat(\"a\", 10)", `of 2 runs, 10 loops each`},
		{"%%timeit -n 5\ns := 0\nfor i := range 10 { s += i }", `of 7 runs, 5 loops each`},
		{"%who", `x  y`},
		{"%whos", `x +int +20\ny +int +21`},
		{"%whos string", `nothing is defined`},
		{"%env LOUPE_TEST_NAME", `a value`},
		{"%env LOUPE_TEST_NAME=other\nos.Getenv(\"LOUPE_TEST_NAME\")", `"other"`},
		{"%env LOUPE_TEST_MISSING", `no variable LOUPE_TEST_MISSING`},
		{"%env LOUPE_TEST_NAME=again", `env: LOUPE_TEST_NAME=again`},
		{"kept := 5\nfunc TestPanics(t *testing.T) { panic(\"in a test\") }\nfunc TestSkips(t *testing.T) { " +
			"t.Skip(\"needs another day\") }\n%test",
			`(?s)panic: in a test.*--- FAIL: TestPanics.*--- SKIP: TestSkips.*TestFailure`},
		{"%rm TestPanics TestSkips\nkept", `removed func TestSkips.*= 5`},
		{"%test", `there is nothing to test`},
		{"%rm kept nosuch", `(?s)there is no nosuch to be forgotten.*removed var kept`},
		{"!*go env GOWORK; pwd", `/got`},
		{"!*go get github.com/kr/text@v0.2.0\nimport \"github.com/kr/text\"\ntext.Indent(\"a\", \"> \")", `"> a"`},
		{"%reset go.mod\n!*grep -c kr/text go.mod", `(?m)(^ *|stdout:)0$`},
		{"!*go get github.com/kr/text@v0.2.0\ntext.Indent(\"b\", \"> \")", `"> b"`},
		{"%noautoget\nimport \"example.org/none\"", `is not in this notebook's modules`},
		{"%version", `go1`},
		{"%run cells.go", `42\n.*Panic.*index out of range.*cells.go, line 6`},
		{"fromFile", `= 7`},
		{"%load cells.go", `next\(true\):// %load cells.go\nfromFile := 7`},
		{"%save kept 2-2 4", `2 cells written to kept.go`},
		{"%save kept 2", `kept.go is there already`},
		{"!head -1 kept.go", `%pwd`},
		{"%history 1-2", `1: %cd .*\n +2: %pwd`},
		{"%history 900", `no cell 900`},
		{"%memory", `MB +resident, process \d+`},
		{"%help", `%timeit \[-n LOOPS\].*\n`},
		{"%help attrib", `page:package attrib(.|\n)*func`},
		{"%help strings.ToUpper", `page:func strings.ToUpper\(s string\)`},
		{"%help timeit", `page:%timeit`},
		{"%help nosuchname", `nothing is known of nosuchname`},
		{"%nosuch", `there is no magic %nosuch: %help lists them`},
		{"%tiem 1", `did you mean %t`},
		{"strings.ToUpper?", `page:func strings.ToUpper\(s string\) string\n\nToUpper returns`},
		{"?x", `page:x int\n20`},
		{"strings.ToUpper??", `page:func strings.ToUpper(.|\n)*func ToUpper\(s string\) string \{`},
		{"nosuchname?", `nothing is known of nosuchname`},
		{"if x > 1 &&\n!false {\nfmt.Println(\"no magic\")\n}", `no magic`},
		{"s := `\n%pwd\n!ls`\nlen(s)", `= 9`},
		{"%backend", `xla|go`},
		{"%backend nosuch", `nosuch|cannot move`},
		{"x = 1\n%reset\nx", `undefined: x`},
	} {
		number++
		out := &transcript{}
		ctx, cancel := context.WithTimeout(context.Background(), hangs)
		r, err := w.Eval(ctx, engine.Cell{Number: number, Source: c.cell}, out)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(out.String(), "|stdout:", "")
		switch {
		case r.Failure != nil:
			got += " " + strings.Join(r.Failure.Traceback, " ")
		case r.Value != nil:
			got += " = " + value(r)
		}
		if r.Page != nil {
			got += "page:" + r.Page.Data["text/plain"]
		}
		if r.Next != nil {
			got += map[bool]string{true: "next(true):", false: "next(false):"}[r.Next.Replace] + r.Next.Text
		}
		got = regexp.MustCompile(`\x1b\[\d*m`).ReplaceAllString(got, "")
		if !regexp.MustCompile(`(?s)` + c.want).MatchString(got) {
			t.Errorf("cell %d %q: %s\nwant %s", number, c.cell, got, c.want)
		}
	}
}

func TestWithoutAShell(t *testing.T) {
	t.Setenv("LOUPE_NO_SHELL", "1")
	w := newWorker(t)
	for _, cell := range []string{"!echo hello", "%%bash\necho hello", "%%script cat\nhello"} {
		if r, out := eval(t, w, cell); r.Failure == nil || !strings.Contains(r.Failure.Message, "--no-shell") || out != "" {
			t.Errorf("%q: %s %s", cell, value(r), out)
		}
	}
}

func TestAnInterruptEndsACommand(t *testing.T) {
	w := newWorker(t)
	eval(t, w, "x := 1")
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	out := &transcript{}
	go func() {
		for ctx.Err() == nil && !strings.Contains(out.String(), "begun") {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	r, err := w.Eval(ctx, engine.Cell{Number: 1, Source: "!sleep 3000 & echo begun $!; sleep 4000"}, out)
	if err != nil || r.Failure == nil || r.Failure.Name != "Interrupted" {
		t.Errorf("%v %+v", err, r.Failure)
	}
	var background int
	if _, err := fmt.Sscanf(strings.TrimPrefix(out.String(), "stdout:"), "begun %d", &background); err != nil {
		t.Fatalf("it prints %q", out)
	}
	if r, _ := eval(t, w, "x"); value(r) != "1" {
		t.Errorf("x is lost: %s", value(r))
	}
	w.Close()
	for end := time.Now().Add(hangs); alive(background); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what the command left in the background goes on")
		}
	}
}

// alive says whether a process runs; one that has ended and that nobody has asked about does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}
