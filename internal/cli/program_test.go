package cli_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// folder makes a folder with files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// inFolder returns the command for loupe in a folder, with a cache of its own.
func inFolder(t *testing.T, dir, cache string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(testenv.Binaries(t), "loupe"), args...)
	cmd.Dir = dir
	cmd.Env = append(emptyHome(t), "LOUPE_CACHE="+cache)
	return cmd
}

// ran is how a command has ended.
type ran struct {
	stdout, stderr string
	status         int
}

func run(t *testing.T, cmd *exec.Cmd, stdin string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

const manyWays = `package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

type T struct{}

func (T) M() { pc, file, line, _ := runtime.Caller(0); fmt.Println(runtime.FuncForPC(pc).Name(), file, line) }

func main() {
	n := flag.Int("n", 42, "a number")
	flag.Parse()
	switch flag.Arg(0) {
	case "exit":
		os.Exit(*n)
	case "fatal":
		log.Fatal("fatal")
	case "panic":
		panic("panic")
	case "deadlock":
		<-make(chan int)
	case "where":
		T{}.M()
		log.SetFlags(log.Lshortfile)
		log.SetOutput(os.Stdout)
		log.Println("short")
		info, _ := debug.ReadBuildInfo()
		fmt.Printf("%T %s %q\n", T{}, info.Path, os.Args[1:])
	case "stdin":
		data, err := io.ReadAll(os.Stdin)
		fmt.Printf("%q %v\n", data, err)
	case "both":
		for i := range 3 {
			fmt.Println("out", i)
			fmt.Fprintln(os.Stderr, "err", i)
			println("builtin", i)
		}
	case "wait":
		fmt.Println("waiting")
		time.Sleep(time.Hour)
	}
}
`

// A program ends, prints and reads as one that go run has built.
func TestProgram(t *testing.T) {
	dir, cache := folder(t, map[string]string{"ways.go": manyWays}), t.TempDir()
	ways := func(stdin string, args ...string) ran {
		t.Helper()
		return run(t, inFolder(t, dir, cache, append([]string{"ways.go"}, args...)...), stdin)
	}
	for _, c := range []struct {
		args   []string
		status int
		stderr string
	}{
		{[]string{"nothing"}, 0, ""},
		{[]string{"-n", "3", "exit"}, 3, ""},
		{[]string{"-help"}, 0, "a number (default 42)"},
		{[]string{"-unknown"}, 2, "flag provided but not defined: -unknown"},
		{[]string{"fatal"}, 1, "fatal\n"},
		{[]string{"panic"}, 2, "panic: panic\n\ngoroutine 1 [running]:\nmain.main()\n\t" + dir + "/ways.go:27"},
		{[]string{"deadlock"}, 2, "fatal error: all goroutines are asleep - deadlock!"},
	} {
		got := ways("", c.args...)
		if got.status != c.status || !strings.Contains(got.stderr, c.stderr) || c.stderr == "" && got.stderr != "" ||
			got.stdout != "" {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
	if got, want := ways("", "where", "-n", "1").stdout, "main.T.M "+dir+
		"/ways.go 16\nways.go:34: short\nmain.T command-line-arguments [\"where\" \"-n\" \"1\"]\n"; got != want {
		t.Errorf("it says\n%sand not\n%s", got, want)
	}
	if got := ways("a\x00\r\nlast", "stdin"); got.stdout != `"a\x00\r\nlast" <nil>`+"\n" {
		t.Errorf("standard input: %+v", got)
	}
	// One pipe for both has what was written in its order.
	cmd := inFolder(t, dir, cache, "ways.go", "both")
	out, err := cmd.CombinedOutput()
	if want := "out 0\nerr 0\nbuiltin 0\nout 1\nerr 1\nbuiltin 1\nout 2\nerr 2\nbuiltin 2\n"; err != nil ||
		string(out) != want {
		t.Errorf("%q, %v", out, err)
	}
	// Under nohup a signal is ignored by what is started too, unless it is listened to here.
	listens := make(chan os.Signal, 1)
	signal.Notify(listens, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(listens)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		cmd := inFolder(t, dir, cache, "ways.go", "wait")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "waiting\n" {
			t.Fatalf("%q, %v", line, err)
		}
		cmd.Process.Signal(s)
		cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != s {
			t.Errorf("%v: it ends with %v", s, cmd.ProcessState)
		}
	}
	// What was built is kept, and built again where it is damaged.
	built, _ := filepath.Glob(filepath.Join(cache, "built", "*", "ways"))
	if len(built) != 1 {
		t.Fatalf("built are %v", built)
	}
	before, err := os.Stat(built[0])
	if err != nil {
		t.Fatal(err)
	}
	ways("", "nothing")
	if after, err := os.Stat(built[0]); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was built again: %v", err)
	}
	if info, err := os.Stat(filepath.Dir(built[0])); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder: %v, %v", info, err)
	}
	data, err := os.ReadFile(built[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(built[0], data, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := ways("", "-n", "5", "exit"); got.status != 5 {
		t.Errorf("damaged: %+v", got)
	}
	if now, err := os.ReadFile(built[0]); err != nil || bytes.Equal(now, data) {
		t.Errorf("it was not built again: %v", err)
	}
}

// What is run may be named in several ways.
func TestWaysToNameAProgram(t *testing.T) {
	cache := t.TempDir()
	hello := func(name string) string {
		return "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() { fmt.Println(\"" + name +
			"\", os.Args[1:]) }\n"
	}
	dir := folder(t, map[string]string{
		"bom.go": "\ufeff" + strings.ReplaceAll(hello("bom"), "\n", "\r\n"),
		"script": "#!/usr/bin/env loupe\n" + strings.Replace(hello("script"), "os.Args[1:]", "where()", 1) +
			"func where() string { panic(os.Args) }\n",
		"wrong.go":      "package main\n\nfunc main() {\n\tx := 1\n}\n",
		"library.go":    "package library\n",
		"cells.go":      "x := 20\n// %%\n2*x + len(os.Args)\n",
		"module/go.mod": "module example.org/several\n\ngo 1.26\n",
		"module/main.go": "package main\n\nimport (\n\t\"example.org/several/sub\"\n\t\"fmt\"\n)\n\nfunc main() { " +
			"fmt.Println(helper(), sub.X) }\n",
		"module/helper.go": "package main\n\nfunc helper() string { return \"helped\" }\n",
		"module/sub/s.go":  "package sub\n\nconst X = 5\n",
		"loose/a.go": "package main\n\nimport \"gonum.org/v1/gonum/floats\"\n\nfunc main() { " +
			"println(int(floats.Sum(list))) }\n",
		"loose/b.go": "package main\n\nvar list = []float64{20, 22}\n",
		"tagged.go":  "//go:build special\n\npackage main\n\nfunc main() { println(\"tagged\") }\n",
		"embeds/e.go": "package main\n\nimport _ \"embed\"\n\n//go:embed ü.txt\nvar text string\n\nfunc main() { " +
			"print(text) }\n",
		"embeds/ü.txt": "embedded",
		"some/tests.go": "package some\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {}\nfunc TestBad(t " +
			"*testing.T) { t.Error(\"wrong here\") }\n",
		"bench_test.go": "package bench\n\nimport \"testing\"\n\nfunc BenchmarkOne(b *testing.B) {\n\tfor b.Loop() " +
			"{\n\t}\n}\n",
	})
	for _, c := range []struct {
		args           []string
		stdin          string
		status         int
		stdout, stderr string
	}{
		{[]string{"bom.go", "a", "-b"}, "", 0, "bom [a -b]\n", ""},
		{[]string{"./script"}, "", 2, "", dir + "/script:10"},
		{[]string{"-", "x"}, hello("stdin"), 0, "stdin [x]\n", ""},
		{nil, hello("piped"), 0, "piped []\n", ""},
		{[]string{"wrong.go"}, "", 1, "", "./wrong.go:4:2: declared and not used: x"},
		{[]string{"library.go"}, "", 1, "", "library.go is of package library and no program"},
		{[]string{"nowhere.go"}, "", 1, "", "nowhere.go: no such file or directory"},
		{[]string{"cells.go", "a"}, "", 0, "42\n", ""},
		{[]string{"module/main.go"}, "", 1, "", "`loupe ./module`"},
		{[]string{"module/main.go", "module/helper.go"}, "", 0, "helped 5\n", ""},
		{[]string{"./module"}, "", 0, "helped 5\n", ""},
		{[]string{"module"}, "", 2, "", "`loupe ./module`"},
		{[]string{"./loose"}, "", 0, "", "42\n"},
		{[]string{"--tags", "special", "tagged.go"}, "", 0, "", "tagged\n"},
		{[]string{"embeds/e.go"}, "", 0, "", "embedded"},
		{[]string{"some/some_test.go"}, "", 1, "", "no such file"},
		{[]string{"test", "some/tests.go"}, "", 1, "wrong here", ""},
		{[]string{"test", "-run", "Good", "some/tests.go"}, "", 0, "ok", ""},
		// the dot is no folder
		{[]string{"test", "-bench", ".", "-benchtime", "2x", "bench_test.go"}, "", 0, "BenchmarkOne", ""},
		{[]string{"test", "-v", "-test.run", ".", "some/tests.go", "-args", "."}, "", 1, "wrong here", ""},
	} {
		at := cache
		if len(c.args) > 0 && c.args[0] == "cells.go" {
			at = sharedCache(t)
		}
		cmd := inFolder(t, dir, at, c.args...)
		if len(c.args) > 0 && c.args[0] == "./loose" {
			cmd.Env = append(cmd.Env, "GOFLAGS=-mod=mod") // which a workspace does not take
		}
		got := run(t, cmd, c.stdin)
		if got.status != c.status || !strings.Contains(got.stdout, c.stdout) || !strings.Contains(got.stderr, c.stderr) ||
			c.stdout == "" && got.stdout != "" {
			t.Errorf("%q: %+v", c.args, got)
		}
	}
}

// A program of its own has the terminal's standard streams: nothing of loupe is between them.
func TestAProgramReadsNothingAhead(t *testing.T) {
	dir, cache := folder(t,
		map[string]string{
			"one.go": "package main\n\nimport \"os\"\n\nfunc main() { b := make([]byte, 1); os.Stdin.Read(b); " +
				"os.Stdout.Write(b) }\n"}), t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("abc")
	w.Close()
	cmd := inFolder(t, dir, cache, "one.go")
	cmd.Stdin = r
	if out, err := cmd.Output(); err != nil || string(out) != "a" {
		t.Errorf("%q, %v", out, err)
	}
	if rest, err := io.ReadAll(r); err != nil || string(rest) != "bc" {
		t.Errorf("left is %q, %v", rest, err)
	}
}
