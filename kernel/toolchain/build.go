package toolchain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"go/version"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/loupeml/loupe/internal/procs"
	"github.com/loupeml/loupe/internal/scratch"
)

// Unit is the package of a cell.
type Unit struct {
	Path    string            // its import path
	Files   map[string][]byte // by name; //line directives in them say where the text comes from
	Imports []string          // its direct imports
	Cgo     bool              // it imports C
	Embed   *Embed            // what its //go:embed lines name; nil where there are none. Files says what is in them.
}

// Built is a compiled and linked unit.
type Built struct {
	Path, Archive, Plugin string
	Cached                bool          // it had been built before
	Thin                  bool          // the plugin has the cell in it, and nothing of what it imports
	Compile, Link         time.Duration // zero where it had
	unit                  Unit
}

// Diagnostic is one error of the compiler.
type Diagnostic struct {
	File         string
	Line, Column int
	Message      string
}

// CompileError is what the compiler says about a unit.
type CompileError struct{ Diagnostics []Diagnostic }

func (e *CompileError) Error() string {
	if len(e.Diagnostics) == 0 {
		return "the compiler failed"
	}
	return e.Diagnostics[0].Message
}

// Build compiles and links a unit, unless the same has been built before. The error is a [CompileError] where the unit
// is at fault.
func (t *Toolchain) Build(ctx context.Context, u Unit) (*Built, error) {
	if thin && !u.Cgo && !t.whole(t.entry(u, false)) {
		b, err := t.build(ctx, u, true)
		if !errors.As(err, &notThin{}) {
			return b, err
		}
	}
	return t.build(ctx, u, false)
}

// notThin says why a cell cannot be linked thinly.
type notThin struct{ why string }

func (e notThin) Error() string { return "toolchain: not linked thinly: " + e.why }

func (t *Toolchain) build(ctx context.Context, u Unit, thinly bool) (*Built, error) {
	dir := t.entry(u, thinly)
	b := &Built{Path: u.Path, Archive: filepath.Join(dir, "cell.a"), Plugin: filepath.Join(dir, "cell.so"),
		Thin: thinly, unit: u}
	if t.whole(dir) {
		b.Cached = true
		t.remember(u, b)
		return b, nil
	}
	work, err := t.workFolder()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	err = t.make(ctx, work, u, b)
	if err != nil && ctx.Err() == nil {
		// The check has found nothing wrong with the cell.
		if mended, _ := t.mend(ctx, append(slices.Clone(u.Imports), "runtime", "runtime/cgo")); mended {
			err = t.make(ctx, work, u, b)
		}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if err := t.keep(work, dir); err != nil {
		return nil, err
	}
	t.remember(u, b)
	return b, nil
}

// make leaves cell.a and cell.so in the folder work.
func (t *Toolchain) make(ctx context.Context, work string, u Unit, b *Built) error {
	if err := t.compile(ctx, work, u, b); err != nil {
		return err
	}
	// The cell's package is itself the plugin's main package: its import path is the plugin's.
	start := time.Now()
	link := t.linkFull
	if b.Thin {
		link = t.linkThin
	}
	err := link(ctx, work, u)
	b.Link = time.Since(start)
	return err
}

// linkFull links cell.a of the folder work, with all that it imports, into cell.so.
func (t *Toolchain) linkFull(ctx context.Context, work string, u Unit) error {
	linker := t.compiler()[0]
	if thin {
		// What cells import is compiled with -linkshared and the program is not, which the runtime would notice by the
		// packages' hashes.
		script := "#!/bin/sh\ntest -f go.o && LC_ALL=C sed -i 's/go:link\\.pkghash/go:cell.pkghash/g' go.o\nexec " + linker +
			" \"$@\"\n"
		linker = filepath.Join(work, "linker.sh")
		if err := os.WriteFile(linker, []byte(script), 0o755); err != nil {
			return fmt.Errorf("toolchain: %w", err)
		}
	}
	if out, err := t.tool(ctx, work, t.config.Link, "-o", "cell.so", "-importcfg", "importcfg", "-installsuffix",
		"dynlink", "-pluginpath", u.Path,
		"-buildmode=plugin", "-s", "-w", "-tmpdir", work, "-extld="+linker, "cell.a"); err != nil {
		return fmt.Errorf("toolchain: link: %w: %s", err, out)
	}
	return nil
}

// compile leaves cell.a and importcfg in the folder work.
func (t *Toolchain) compile(ctx context.Context, work string, u Unit, b *Built) error {
	var files []string
	for _, name := range slices.Sorted(maps.Keys(u.Files)) {
		if err := os.WriteFile(filepath.Join(work, name), u.Files[name], 0o644); err != nil {
			return fmt.Errorf("toolchain: %w", err)
		}
		files = append(files, "./"+name)
	}
	all := map[string]string{}
	t.closure(u.Imports, all)
	t.closure([]string{"runtime", "runtime/cgo"}, all)
	if u.Cgo {
		t.closure([]string{"syscall", "internal/runtime/cgo"}, all)
	}
	var cfg strings.Builder
	for _, path := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&cfg, "packagefile %s=%s\n", path, all[path])
	}
	if err := os.WriteFile(filepath.Join(work, "importcfg"), []byte(cfg.String()), 0o644); err != nil {
		return fmt.Errorf("toolchain: %w", err)
	}
	start := time.Now()
	var objects []string
	args := []string{"-o", "cell.a", "-trimpath", work + "=>", "-p", u.Path, "-lang=" + version.Lang(t.config.Go),
		"-installsuffix", "dynlink", "-goversion", t.config.Go,
		"-c=2", "-dynlink", "-nolocalimports", "-importcfg", "importcfg", "-pack"}
	if thin {
		args = append(args, "-linkshared")
	}
	if u.Embed != nil {
		data, err := json.Marshal(u.Embed)
		if err != nil {
			return fmt.Errorf("toolchain: %w", err)
		}
		if err := os.WriteFile(filepath.Join(work, "embedcfg"), data, 0o644); err != nil {
			return fmt.Errorf("toolchain: %w", err)
		}
		args = append(args, "-embedcfg", "embedcfg")
	}
	if b.Thin {
		if err := os.WriteFile(filepath.Join(work, "runtime.go"), []byte(runtimeSource), 0o644); err != nil {
			return fmt.Errorf("toolchain: %w", err)
		}
		files = append(files, "./runtime.go")
	}
	if u.Cgo {
		var err error
		if files, objects, err = t.cgo(ctx, work, u, files); err != nil {
			return err
		}
	} else {
		args = append(args, "-complete")
	}
	if out, err := t.tool(ctx, work, t.config.Compile, append(args, files...)...); err != nil {
		return compileError(ctx, out, err)
	}
	if len(objects) > 0 {
		if out, err := t.tool(ctx, work, "go", append([]string{"tool", "pack", "r", "cell.a"}, objects...)...); err != nil {
			return fmt.Errorf("toolchain: pack: %w: %s", err, out)
		}
	}
	b.Compile = time.Since(start)
	return nil
}

// runtimeSource goes into each thin cell. By the import the linker knows by which runtime the cell has been compiled.
//
// The function's place has a long name, so that traces of the cell have lines. The runtime takes the number of a file
// for a wrong one where it is larger than the bytes that the names of files take (runtime.funcline1). In a program they
// take millions. In a cell they take the few of its own name, and its number is above a hundred when it mentions a type
// with many methods. No predeclared name is used: a cell may have redeclared it.
var runtimeSource = "package main\n\nimport _ \"runtime\"\n\nvar øplace = 0\n\n//line " + strings.Repeat("x", 1<<13) +
	":1\nfunc init() { øplace++ }\n"

// cgo translates what imports C and compiles the C parts, as the go command does.
func (t *Toolchain) cgo(ctx context.Context, work string, u Unit, files []string) (goFiles, objects []string,
	err error) {
	cc := t.compiler()
	pkg, err := cPackage(work)
	if err != nil {
		return nil, nil, err
	}
	ldflags := append(strings.Fields(os.Getenv("CGO_LDFLAGS")), pkg.CgoLDFLAGS...)
	run := func(name string, args ...string) error {
		out, err := t.tool(ctx, work, name, args...)
		if err != nil {
			return compileError(ctx, out, err)
		}
		return nil
	}
	var plain []string
	files = slices.DeleteFunc(slices.Clone(files), func(f string) bool {
		if strings.Contains(string(u.Files[filepath.Base(f)]), `"C"`) {
			return false
		}
		plain = append(plain, f)
		return true
	})
	arguments := []string{"tool", "cgo", "-objdir", work + string(filepath.Separator), "-importpath", u.Path, "-trimpath",
		work + "=>"}
	if len(ldflags) > 0 {
		arguments = append(arguments, "-ldflags", strings.Join(ldflags, " "))
	}
	arguments = append(append(arguments, "--", "-I", work, "-O2", "-g"), pkg.CgoCFLAGS...)
	if err := run("go", append(arguments, files...)...); err != nil {
		return nil, nil, err
	}
	goFiles = append(plain, "./_cgo_gotypes.go")
	sources := []string{"_cgo_export.c"}
	for _, f := range files {
		base := strings.TrimSuffix(filepath.Base(f), ".go")
		goFiles = append(goFiles, "./"+base+".cgo1.go")
		sources = append(sources, base+".cgo2.c")
	}
	// Hidden, because what an earlier cell has defined would else take the place of what this one defines under the name.
	flags := append(append(slices.Clone(cc[1:]), "-I", work, "-fPIC", "-fvisibility=hidden", "-pthread", "-O2", "-w",
		"-c"), pkg.CgoCFLAGS...)
	for _, source := range append(sources, "_cgo_main.c") {
		object := strings.TrimSuffix(source, ".c") + ".o"
		if err := run(cc[0], append(append([]string(nil), flags...), "-o", object, source)...); err != nil {
			return nil, nil, err
		}
		if source != "_cgo_main.c" {
			objects = append(objects, object)
		}
	}
	if err := run(cc[0], append(append([]string{"-fPIC", "-pthread", "-o", "_cgo_.o"}, objects...),
		append([]string{"_cgo_main.o"}, ldflags...)...)...); err != nil {
		return nil, nil, err
	}
	if err := run("go", "tool", "cgo", "-dynpackage", "main", "-dynimport", "_cgo_.o", "-dynout",
		"_cgo_import.go"); err != nil {
		return nil, nil, err
	}
	return append(goFiles, "./_cgo_import.go"), objects, nil
}

// Cgo returns the Go that the cgo command declares the names of C with that a source file uses.
func (t *Toolchain) Cgo(ctx context.Context, source string) (string, error) {
	work, err := t.workFolder()
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "cell.go"), []byte(source), 0o644); err != nil {
		return "", fmt.Errorf("toolchain: %w", err)
	}
	pkg, err := cPackage(work)
	if err != nil {
		return "", err
	}
	arguments := append([]string{"tool", "cgo", "-objdir", work + string(filepath.Separator), "-importpath", "main",
		"-trimpath", work + "=>", "--", "-I", work}, pkg.CgoCFLAGS...)
	if out, err := t.tool(ctx, work, "go", append(arguments, "./cell.go")...); err != nil {
		return "", compileError(ctx, out, err)
	}
	generated, err := os.ReadFile(filepath.Join(work, "_cgo_gotypes.go"))
	if err != nil {
		return "", fmt.Errorf("toolchain: %w", err)
	}
	return string(generated), nil
}

// cPackage reads the #cgo lines of the package in a folder.
func cPackage(dir string) (*build.Package, error) {
	with := build.Default
	with.CgoEnabled = true
	pkg, err := with.ImportDir(dir, 0)
	if err != nil {
		return nil, fmt.Errorf("toolchain: %w", err)
	}
	if len(pkg.CgoPkgConfig) > 0 {
		return nil, fmt.Errorf("toolchain: cells do not know #cgo pkg-config: write what `pkg-config --cflags --libs %s` "+
			"prints into #cgo CFLAGS and LDFLAGS", strings.Join(pkg.CgoPkgConfig, " "))
	}
	return pkg, nil
}

// compiler returns the C compiler with its flags.
func (t *Toolchain) compiler() []string {
	if cc := strings.Fields(os.Getenv("CC")); len(cc) > 0 {
		return cc
	}
	return []string{"gcc"}
}

// tool runs a program and returns all that it prints.
func (t *Toolchain) tool(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := procs.Command(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = scratch.Env()
	switch name {
	case "go":
		cmd.Env = append(cmd.Env, "GOWORK=off", "GOFLAGS=")
	case t.config.Compile, t.config.Link:
		// They take a few megabytes for a cell, and half of their time where they collect garbage.
		cmd.Env = append(cmd.Env, "GOGC=off", "GOMEMLIMIT=512MiB")
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf(
			"%s is not there any more: compiled cells need the Go that loupe was built with, and a C compiler", name)
	}
	return string(out), err
}

var diagnostic = regexp.MustCompile(`^(.*?):(\d+)(?::(\d+))?: (.*)$`)

// undefinedC is what linkers say of a name of C that is nowhere.
var undefinedC = regexp.MustCompile("undefined (?:reference to [`'‘]|symbol: )(\\w+)")

// undefined tells of the names of C that a linker has not found.
func (e *CompileError) undefined(says string) {
	for _, m := range undefinedC.FindAllStringSubmatch(says, -1) {
		e.Diagnostics = append(e.Diagnostics, Diagnostic{Message: fmt.Sprintf("C.%s is declared and not defined: a "+
			"library that has it may be missing (#cgo LDFLAGS: -lNAME), and what is static cannot be reached from Go, but by "+
			"a call", m[1])})
	}
}

// compileError takes a tool's messages apart.
func compileError(ctx context.Context, out string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := &CompileError{}
	for line := range strings.Lines(out) {
		if m := diagnostic.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			if strings.HasPrefix(m[4], "note: ") {
				continue // of the C compiler, about the error before
			}
			d := Diagnostic{File: m[1], Message: strings.TrimPrefix(m[4], "error: ")}
			d.Line, _ = strconv.Atoi(m[2])
			d.Column, _ = strconv.Atoi(m[3])
			e.Diagnostics = append(e.Diagnostics, d)
		}
	}
	if len(e.Diagnostics) > 0 {
		return e
	}
	if e.undefined(out); len(e.Diagnostics) == 0 {
		return fmt.Errorf("toolchain: %w: %s", err, strings.TrimSpace(out))
	}
	return e
}
