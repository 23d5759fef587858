package toolchain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/kernel/cell"
)

// prepare returns a toolchain for this test binary, which is the process that cells are loaded into.
func prepare(t *testing.T, cache string) *Toolchain {
	t.Helper()
	runtime.KeepAlive(called)
	tools, err := New(Options{Dir: testenv.Root(), Cache: cache,
		Roots: []string{"github.com/loupeml/loupe/kernel/cell/..."}})
	if errors.Is(err, ErrNotPrepared) {
		err = tools.Prepare(context.Background(), func(string) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

const cellPath = "github.com/loupeml/loupe/kernel/cell"

// unit is a cell that registers what it does under its path.
func unit(path, imports, body string) Unit {
	source := "package main\n\nimport cell \"" + cellPath + "\"\n" + imports + "\n" + body +
		"\nfunc init() { cell.Register(\"" + path + "\", run) }\n"
	u := Unit{Path: path, Files: map[string][]byte{"cell.go": []byte(source)}, Imports: []string{cellPath}}
	for _, line := range strings.Split(imports, "\n") {
		if _, rest, ok := strings.Cut(line, `"`); ok {
			u.Imports = append(u.Imports, strings.TrimSuffix(rest, `"`))
		}
	}
	return u
}

func buildAndRun(t *testing.T, tools *Toolchain, u Unit) *Built {
	t.Helper()
	b, err := tools.Build(context.Background(), u)
	if err != nil {
		t.Fatal(err)
	}
	if err := tools.Load(b); err != nil {
		t.Fatal(err)
	}
	main := cell.Main(u.Path)
	run(main)
	return b
}

// last is the cell that ran last.
var last *cell.Run

func run(main func()) {
	last = &cell.Run{Context: context.Background()}
	last.Begin()
	last.Enter()
	defer cell.Leave()
	main()
}

func shown(t *testing.T) []any {
	t.Helper()
	values, ok := last.TakeShown()
	if !ok {
		t.Fatal("the cell has shown nothing")
	}
	return values
}

// What one cell declares, later ones use: types, generics, variables, closures, across plugins.
func TestCellsShareWhatTheyDeclare(t *testing.T) {
	tools := prepare(t, t.TempDir())
	buildAndRun(t, tools, unit("cells/first", `import "fmt"`, `
type point struct{ x, y int }
func (p point) String() string { return fmt.Sprint(p.x, ",", p.y) }
type Øpoint = point
type Pair[A, B any] struct { First A; Second B }
func ØSwap[A, B any](p Pair[A, B]) Pair[B, A] { return Pair[B, A]{p.Second, p.First} }
func Øx[_ any](p *point) *int { return &p.x }
func Ømake[_ any]() point { return point{1, 2} }
func run() { cell.Show(point{3, 4}) }`))
	if v := shown(t); v[0].(interface{ String() string }).String() != "3,4" {
		t.Errorf("%v", v)
	}
	buildAndRun(t, tools, unit("cells/second", "import first \"cells/first\"\nimport \"fmt\"", `
type point = first.Øpoint
func run() {
	p := first.Ømake[int]()
	*first.Øx[int](&p) = 9
	var s fmt.Stringer = p
	_, same := s.(point)
	cell.Show(s.String(), same, first.ØSwap(first.Pair[string, point]{"a", p}), fmt.Sprintf("%T", p))
}`))
	v := shown(t)
	if v[0] != "9,2" || v[1] != true || v[3] != "main.point" {
		t.Errorf("%v", v)
	}
}

func TestErrorsHaveThePlacesOfTheLineDirectives(t *testing.T) {
	tools := prepare(t, t.TempDir())
	u := unit("cells/bad", "", "func run() {\n//line cell 7:3:5\nx := undefinedName\n}")
	_, err := tools.Build(context.Background(), u)
	var e *CompileError
	if !errors.As(err, &e) || len(e.Diagnostics) == 0 {
		t.Fatalf("%v", err)
	}
	if d := e.Diagnostics[0]; !strings.HasSuffix(d.File, "cell 7") || d.Line != 3 ||
		!strings.Contains(d.Message, "undefined: undefinedName") && !strings.Contains(d.Message, "declared and not used") {
		t.Errorf("%+v", d)
	}
}

func TestWhatHasBeenBuiltIsKept(t *testing.T) {
	cache := t.TempDir()
	tools := prepare(t, cache)
	u := unit("cells/kept", "", "func run() { cell.Show(1) }")
	first := buildAndRun(t, tools, u)
	if first.Cached {
		t.Error("it is kept before it was built")
	}
	again, err := prepare(t, cache).Build(context.Background(), u)
	if err != nil || !again.Cached {
		t.Errorf("%+v, %v", again, err)
	}
	// A file that was cut short is noticed, and built again.
	u = unit("cells/cut", "", "func run() { cell.Show(2) }")
	b, err := tools.Build(context.Background(), u)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(b.Plugin, 1000); err != nil {
		t.Fatal(err)
	}
	if b, err = tools.Build(context.Background(), u); err != nil || b.Cached {
		t.Fatalf("%+v, %v", b, err)
	}
	buildAndRun(t, tools, u)
	if v := shown(t); v[0] != 2 {
		t.Errorf("%v", v)
	}
}

func TestTwoBuildTheSameAtOnce(t *testing.T) {
	cache := t.TempDir()
	one, two := prepare(t, cache), prepare(t, cache)
	u := unit("cells/both", "", "func run() {}")
	var group sync.WaitGroup
	for _, tools := range []*Toolchain{one, two, one, two} {
		group.Go(func() {
			if _, err := tools.Build(context.Background(), u); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	left, _ := filepath.Glob(filepath.Join(cache, "cells", "loupe-work-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCancel(t *testing.T) {
	tools := prepare(t, t.TempDir())
	// A compiler that says when it has begun, and then works for ever.
	dir := t.TempDir()
	begun, compiler := filepath.Join(dir, "begun"), filepath.Join(dir, "compile")
	if err := syscall.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(compiler, []byte("#!/bin/sh\necho > '"+begun+"'\nexec sleep 3600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	real := tools.config.Compile
	tools.config.Compile = compiler
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		os.ReadFile(begun)
		cancel()
	}()
	if _, err := tools.Build(ctx, unit("cells/cancelled", `import "fmt"`, "func run() { fmt.Println() }")); !errors.Is(err,
		context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	tools.config.Compile = real
	if _, err := tools.Build(context.Background(), unit("cells/cancelled", `import "fmt"`,
		"func run() { fmt.Println() }")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	tools := prepare(t, t.TempDir())
	var last *Built
	for _, name := range []string{"a", "b", "c"} {
		b, err := tools.Build(context.Background(), unit("cells/"+name, "", "func run() {}"))
		if err != nil {
			t.Fatal(err)
		}
		last = b
	}
	entries, _ := os.ReadDir(tools.cells())
	old := time.Now().Add(-time.Hour)
	for _, e := range entries {
		if path := filepath.Join(tools.cells(), e.Name()); path != filepath.Dir(last.Plugin) {
			os.Chtimes(path, old, old)
		}
	}
	var size int64 // of one
	for _, path := range []string{last.Archive, last.Plugin} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	tools.trim(size * 3 / 2)
	entries, _ = os.ReadDir(tools.cells())
	if len(entries) != 1 || entries[0].Name() != filepath.Base(filepath.Dir(last.Plugin)) {
		t.Errorf("%d entries are left", len(entries))
	}
}

func TestNotPrepared(t *testing.T) {
	if _, err := New(Options{Dir: testenv.Root(), Cache: t.TempDir()}); !errors.Is(err, ErrNotPrepared) {
		t.Errorf("%v", err)
	}
	tools, _ := New(Options{Dir: t.TempDir(), Cache: t.TempDir(), Roots: []string{"example.org/nothing"}})
	if err := tools.Prepare(context.Background(), func(string) {}); err == nil ||
		!strings.Contains(err.Error(), "example.org/nothing") {
		t.Errorf("%v", err)
	}
	t.Setenv("PATH", "")
	if err := tools.Prepare(context.Background(), func(string) {}); err == nil ||
		!strings.Contains(err.Error(), "the go command is not in PATH") {
		t.Errorf("%v", err)
	}
}

func TestC(t *testing.T) {
	tools := prepare(t, t.TempDir())
	u := Unit{Path: "cells/withc", Cgo: true, Imports: []string{cellPath}, Files: map[string][]byte{
		"cell.go": []byte("package main\n\n// #cgo LDFLAGS: -lm\n// #include <math.h>\nimport \"C\"\n\nfunc run() { " +
			"show(float64(C.sqrt(16))) }\n"),
		"register.go": []byte("package main\n\nimport cell \"" + cellPath +
			"\"\n\nfunc show(v any) { cell.Show(v) }\nfunc init() { cell.Register(\"cells/withc\", run) }\n"),
	}}
	buildAndRun(t, tools, u)
	if v := shown(t); v[0] != 4.0 {
		t.Errorf("%v", v)
	}
}

// What the cells of these tests call is in the program.
var called = []any{cell.Show, cell.Register, cell.Slot, cell.Find, fmt.Sprint}

const ring = `
func run() { r := ring.New(3); r.Value = "round"; cell.Show(r.Next().Len(), r.Value) }`

// A plugin has only the cell in it where the process has what the cell refers to, and all of it where not.
func TestPluginsAreThin(t *testing.T) {
	if !thin {
		t.Skip("skipped: needs linux/amd64; elsewhere cells are linked in full")
	}
	if os.Getenv("LOUPE_TEST_CACHE") != "" {
		// The other process of the next test: it has loaded the package and so builds the second cell without it.
		tools := prepare(t, os.Getenv("LOUPE_TEST_CACHE"))
		if b := buildAndRun(t, tools, unit("cells/round", `import "container/ring"`, ring)); b.Thin {
			t.Errorf("the program has no container/ring, and the plugin is thin")
		}
		if b := buildAndRun(t, tools, unit("cells/again", `import "container/ring"`, ring)); !b.Thin {
			t.Errorf("the process has container/ring, and the plugin is full")
		}
		return
	}
	tools := prepare(t, t.TempDir())
	b := buildAndRun(t, tools, unit("cells/thin", `import "fmt"`,
		`func run() { cell.Show(fmt.Sprint(struct{ A, B int }{1, 2})) }`))
	if v := shown(t); v[0] != "{1 2}" {
		t.Errorf("%v", v)
	}
	info, err := os.Stat(b.Plugin)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Thin || info.Size() > 50_000 {
		t.Errorf("thin: %v, %d bytes", b.Thin, info.Size())
	}
}

// A thin plugin from the cache, of a process that had more in it than this one, is linked again.
func TestAThinPluginMisses(t *testing.T) {
	if !thin {
		t.Skip("skipped: needs linux/amd64; elsewhere cells are linked in full")
	}
	cache := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestPluginsAreThin$")
	cmd.Env = append(os.Environ(), "LOUPE_TEST_CACHE="+cache)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tools := prepare(t, cache)
	b, err := tools.Build(context.Background(), unit("cells/again", `import "container/ring"`, ring))
	if err != nil || !b.Cached || !b.Thin {
		t.Fatalf("%v %+v", err, b)
	}
	if err := tools.Load(b); err != nil || b.Thin {
		t.Fatalf("%v, thin: %v", err, b.Thin)
	}
	run(cell.Main("cells/again"))
	if v := shown(t); v[0] != 3 {
		t.Errorf("%v", v)
	}
}
