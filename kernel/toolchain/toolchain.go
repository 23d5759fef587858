// Package toolchain turns the package of a notebook cell into code that runs in this process: it calls Go's compiler and
// linker directly, with what they need prepared beforehand, and loads the plugin that comes out.
package toolchain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"plugin"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options says what cells can import, and where things are kept.
type Options struct {
	Dir   string   // the module that the process was built from
	Cache string   // where the prepared configuration and built cells are kept
	Roots []string // what cells can import besides the standard library, with all that it imports; patterns allowed
}

// ErrNotPrepared is returned by [New] where [Toolchain.Prepare] has to be called first.
var ErrNotPrepared = errors.New("toolchain: compiled cells are not prepared for this worker")

// Toolchain compiles, links and loads cells.
type Toolchain struct {
	options Options
	config  config

	mu       sync.Mutex
	archives map[string]string   // of built cells, by import path
	imports  map[string][]string // of built cells
	loaded   map[string]string   // what loaded cells have brought with them, by import path, to the archive
}

// config is what Prepare finds out.
type config struct {
	Worker     string // identifies the executable that it was made for
	Executable string
	Go         string
	Compile    string
	Link       string
	Packages   map[string]prepared // by import path
}

type prepared struct {
	Name, Archive string
	Imports       []string
	Dir           string
}

// SourceDir returns the folder of a package's source, or "".
func (t *Toolchain) SourceDir(path string) string { return t.config.Packages[path].Dir }

// New reads what has been prepared.
func New(o Options) (*Toolchain, error) {
	t := &Toolchain{options: o, archives: map[string]string{}, imports: map[string][]string{}, loaded: map[string]string{}}
	data, err := os.ReadFile(t.configFile())
	if err == nil {
		err = json.Unmarshal(data, &t.config)
	}
	if err != nil || t.config.Worker != identity() {
		return t, ErrNotPrepared
	}
	return t, nil
}

func (t *Toolchain) configFile() string {
	sum := sha256.Sum256([]byte(identity() + strings.Join(t.options.Roots, " ")))
	return filepath.Join(t.options.Cache, "toolchain-"+hex.EncodeToString(sum[:6])+".json")
}

func identity() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	info, err := os.Stat(self)
	if err != nil {
		return ""
	}
	return self + info.ModTime().String()
}

// Prepare asks go list for the archives of all that cells can import, compiling what is missing.
func (t *Toolchain) Prepare(ctx context.Context, log func(string)) error {
	log("preparing the compiler for cells: this takes a while once")
	packages, err := t.list(ctx, t.options.Dir, append([]string{"std", "builtin"}, t.options.Roots...))
	if err != nil {
		return fmt.Errorf("toolchain: %w", err)
	}
	self, _ := os.Executable()
	c := config{Worker: identity(), Executable: self, Go: runtime.Version(), Packages: packages}
	dir, err := exec.Command("go", "env", "GOTOOLDIR").Output()
	if err != nil {
		return err
	}
	c.Compile = filepath.Join(strings.TrimSpace(string(dir)), "compile")
	c.Link = filepath.Join(strings.TrimSpace(string(dir)), "link")
	t.config = c
	t.clear()
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.options.Cache, 0o755); err != nil {
		return err
	}
	return os.WriteFile(t.configFile(), data, 0o644)
}

// Module is a module of the build list.
type Module struct{ Path, Version, Dir string }

// Modules returns what is built from where, as seen from a folder.
func (t *Toolchain) Modules(ctx context.Context, dir string) (map[string]Module, error) {
	out, err := t.goCommand(ctx, dir, "list", "-m", "-f", "{{.Path}}\t{{.Version}}{{with .Replace}}=>{{.Path}}{{.Version}}{{end}}\t{{.Dir}}", "all")
	if err != nil {
		return nil, err
	}
	modules := map[string]Module{}
	for line := range strings.Lines(out) {
		if f := strings.Split(strings.TrimRight(line, "\n"), "\t"); len(f) == 3 {
			modules[f[0]] = Module{f[0], f[1], f[2]}
		}
	}
	return modules, nil
}

// Dir returns the folder from which packages are found now.
func (t *Toolchain) Dir() string { return t.options.Dir }

// Add lets cells import more packages, which are found from a folder: a workspace that has the worker's module in it. What
// has been loaded before stays as it is.
func (t *Toolchain) Add(ctx context.Context, dir string, roots ...string) error {
	packages, err := t.list(ctx, dir, roots)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for path, p := range packages {
		if _, ok := t.config.Packages[path]; !ok || p.Archive != "" && t.loaded[path] == "" {
			t.config.Packages[path] = p
		}
	}
	t.options.Dir = dir
	t.options.Roots = append(t.options.Roots, roots...)
	return nil
}

// goCommand runs the go command and returns what it prints.
func (t *Toolchain) goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the go command is not in PATH: compiled cells need the Go that loupe was built with")
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args[:min(len(args), 2)], " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// list returns the archives of packages and of all that they import, compiled for plugins.
func (t *Toolchain) list(ctx context.Context, dir string, roots []string) (map[string]prepared, error) {
	args := []string{"list", "-export", "-deps", "-buildmode=plugin", "-f", "{{.ImportPath}}\t{{.Name}}\t{{.Export}}\t{{join .Imports \" \"}}\t{{.Dir}}"}
	out, err := t.goCommand(ctx, dir, append(args, roots...)...)
	if err != nil {
		return nil, err
	}
	packages := map[string]prepared{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) == 5 {
			packages[f[0]] = prepared{f[1], f[2], strings.Fields(f[3]), f[4]}
		}
	}
	return packages, nil
}

// clear removes what was prepared for executables that are gone.
func (t *Toolchain) clear() {
	files, _ := filepath.Glob(filepath.Join(t.options.Cache, "toolchain-*.json"))
	for _, file := range files {
		var c config
		if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &c) == nil && c.Executable != "" {
			if _, err := os.Stat(c.Executable); errors.Is(err, os.ErrNotExist) {
				os.Remove(file)
			}
		}
	}
}

// Packages returns the import paths of what cells can import, with the packages' names.
func (t *Toolchain) Packages() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]string{}
	for path, p := range t.config.Packages {
		if p.Archive != "" && p.Name != "main" && !strings.Contains("/"+path+"/", "/internal/") && !strings.HasPrefix(path, "vendor/") || path == "unsafe" {
			out[path] = p.Name
		}
	}
	return out
}

// Export opens the export data of a package.
func (t *Toolchain) Export(path string) (io.ReadCloser, error) {
	archive, ok := t.archive(path)
	if !ok {
		return nil, fmt.Errorf("package %s is not in std or in this notebook's modules", path)
	}
	return os.Open(archive)
}

func (t *Toolchain) archive(path string) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.archives[path]; a != "" {
		return a, true
	}
	p := t.config.Packages[path]
	return p.Archive, p.Archive != ""
}

// Unit is the package of a cell.
type Unit struct {
	Path    string
	Files   map[string][]byte
	Imports []string
	Cgo     bool
}

// Built is a compiled and linked unit.
type Built struct {
	Path, Archive, Plugin string
	Cached                bool
	Compile, Link         time.Duration
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

// Build compiles and links a unit.
func (t *Toolchain) Build(ctx context.Context, u Unit) (*Built, error) {
	h := sha256.New()
	fmt.Fprintln(h, u.Path, t.config.Go)
	// Go's cache names archives by their content.
	for _, path := range u.Imports {
		archive, _ := t.archive(path)
		fmt.Fprintln(h, path, archive)
	}
	for _, name := range slices.Sorted(maps.Keys(u.Files)) {
		fmt.Fprintln(h, name, len(u.Files[name]))
		h.Write(u.Files[name])
	}
	dir := filepath.Join(t.options.Cache, "cells", hex.EncodeToString(h.Sum(nil)[:12]))
	b := &Built{Path: u.Path, Archive: filepath.Join(dir, "cell.a"), Plugin: filepath.Join(dir, "cell.so")}
	if _, err := os.Stat(b.Plugin); err == nil {
		b.Cached = true
		t.remember(u, b)
		return b, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(dir, "work")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(u.Files)) {
		if err := os.WriteFile(filepath.Join(work, name), u.Files[name], 0o644); err != nil {
			return nil, err
		}
		names = append(names, "./"+name)
	}
	all := map[string]string{}
	t.closure(u.Imports, all)
	t.closure([]string{"runtime", "runtime/cgo"}, all)
	var cfg strings.Builder
	for _, path := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&cfg, "packagefile %s=%s\n", path, all[path])
	}
	if err := os.WriteFile(filepath.Join(work, "importcfg"), []byte(cfg.String()), 0o644); err != nil {
		return nil, err
	}
	start := time.Now()
	args := append([]string{"-o", "cell.a", "-trimpath", work + "=>", "-p", u.Path, "-lang=go1.26", "-complete", "-installsuffix", "dynlink", "-goversion", t.config.Go, "-c=2", "-dynlink", "-nolocalimports", "-importcfg", "importcfg", "-pack"}, names...)
	if out, err := t.tool(ctx, work, t.config.Compile, args...); err != nil {
		return nil, compileError(out, err)
	}
	b.Compile = time.Since(start)
	// The cell's package is itself the plugin's main package: its import path is the plugin's.
	start = time.Now()
	if out, err := t.tool(ctx, work, t.config.Link, "-o", "cell.so", "-importcfg", "importcfg", "-installsuffix", "dynlink", "-pluginpath", u.Path, "-buildmode=plugin", "-s", "-w", "-extld=gcc", "cell.a"); err != nil {
		return nil, fmt.Errorf("toolchain: link: %w: %s", err, out)
	}
	b.Link = time.Since(start)
	if err := os.Rename(filepath.Join(work, "cell.a"), b.Archive); err != nil {
		return nil, err
	}
	if err := os.Rename(filepath.Join(work, "cell.so"), b.Plugin); err != nil {
		return nil, err
	}
	t.remember(u, b)
	return b, nil
}

func (t *Toolchain) remember(u Unit, b *Built) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.archives[u.Path] = b.Archive
	t.imports[u.Path] = u.Imports
}

func (t *Toolchain) closure(paths []string, all map[string]string) {
	for _, path := range paths {
		if _, ok := all[path]; ok || path == "unsafe" || path == "C" {
			continue
		}
		archive, ok := t.archive(path)
		if !ok {
			continue
		}
		all[path] = archive
		if p, ok := t.config.Packages[path]; ok {
			t.closure(p.Imports, all)
		}
		t.mu.Lock()
		imports := t.imports[path]
		t.mu.Unlock()
		t.closure(imports, all)
	}
}

func (t *Toolchain) tool(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var diagnostic = regexp.MustCompile(`^(.*?):(\d+)(?::(\d+))?: (.*)$`)

func compileError(out string, err error) error {
	e := &CompileError{}
	for line := range strings.Lines(out) {
		if m := diagnostic.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			d := Diagnostic{File: m[1], Message: m[4]}
			d.Line, _ = strconv.Atoi(m[2])
			d.Column, _ = strconv.Atoi(m[3])
			e.Diagnostics = append(e.Diagnostics, d)
		}
	}
	if len(e.Diagnostics) == 0 {
		return fmt.Errorf("toolchain: compile: %w: %s", err, out)
	}
	return e
}

// Load loads a built unit into this process; its init functions run.
func (t *Toolchain) Load(b *Built) error {
	if _, err := plugin.Open(b.Plugin); err != nil {
		return err
	}
	all := map[string]string{}
	t.closure([]string{b.Path}, all)
	t.mu.Lock()
	defer t.mu.Unlock()
	for path, archive := range all {
		t.loaded[path] = archive
	}
	return nil
}
