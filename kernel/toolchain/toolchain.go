// Package toolchain turns the package of a notebook cell into code that runs in this process: it calls Go's compiler
// and linker directly, with what they need prepared beforehand (toolchain.go), and loads the plugin that comes out
// (build.go). What has been built is kept by content (cache.go).
//
// The cell's package is itself the main package of its plugin, so that one compilation and one link are enough: its
// import path is the plugin's path. Later cells import it as any package; the loader binds what they have in common to
// what is there already. The package is named main, so that its types print as main.T. The compiler lists the exported
// functions and variables of a package main for package plugin, and such a list of an imported cell refers to symbols
// that are not there: cells export types, constants and generic functions only.
package toolchain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"plugin"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/loupeml/loupe/internal/goflags"
	"github.com/loupeml/loupe/internal/procs"
	"github.com/loupeml/loupe/internal/scratch"
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
	cache   string // where things are kept: Options.Cache, or another folder where that cannot be written
	config  config

	verified verified

	mu       sync.Mutex
	archives map[string]string   // of built cells, by import path
	imports  map[string][]string // of built cells
	built    int                 // cells, by this process
	loaded   map[string]string   // what loaded cells have brought with them, by import path, to the archive
}

// SourceDir returns the folder of a package's source, or "".
func (t *Toolchain) SourceDir(path string) string {
	p, _ := t.prepared(path)
	return p.Dir
}

func (t *Toolchain) prepared(path string) (prepared, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.config.Packages[path]
	return p, ok
}

// New reads what has been prepared.
func New(o Options) (*Toolchain, error) {
	t := &Toolchain{options: o, cache: o.Cache, archives: map[string]string{}, imports: map[string][]string{},
		loaded: map[string]string{}}
	err := t.read(o.Cache)
	if !scratch.Writable(o.Cache) {
		if t.cache, _ = scratch.Kept("cells"); t.cache == "" {
			t.cache = o.Cache // whoever writes there tells what is wrong
		} else if err != nil {
			err = t.read(t.cache)
		}
	}
	if err != nil || t.config.Worker != identity() {
		return t, ErrNotPrepared
	}
	// Go's cache forgets what has not been used for days.
	for _, p := range t.config.Packages {
		if p.Archive == "" {
			continue
		}
		if info, err := os.Stat(p.Archive); err != nil || info.Size() != p.Size {
			return t, ErrNotPrepared
		}
	}
	now := time.Now()
	os.Chtimes(t.configFile(t.cache), now, now) // see clear
	return t, nil
}

// Prepare asks go list for the archives of all that cells can import, compiling what is missing.
func (t *Toolchain) Prepare(ctx context.Context, log func(string)) error {
	log("preparing the compiler for cells: this takes a while once")
	packages, err := t.list(ctx, t.options.Dir, append([]string{"std", "builtin"}, t.options.Roots...))
	if err != nil {
		return fmt.Errorf("toolchain: %w", err)
	}
	c := config{Worker: identity(), Go: runtime.Version(), Packages: packages}
	dir, err := exec.Command("go", "env", "GOTOOLDIR").Output()
	if err != nil {
		return err
	}
	c.Compile = filepath.Join(strings.TrimSpace(string(dir)), "compile")
	c.Link = filepath.Join(strings.TrimSpace(string(dir)), "link")
	t.config = c
	if err := os.MkdirAll(t.cache, 0o700); err != nil {
		return err
	}
	if err := t.write(c.text()); err != nil {
		return err
	}
	t.clear()
	return nil
}

// Module is a module of the build list.
type Module struct{ Path, Version, Dir string }

// Modules returns what is built from where, as seen from a folder.
func (t *Toolchain) Modules(ctx context.Context, dir string) (map[string]Module, error) {
	out, err := t.goCommand(ctx, dir, "list", "-m", "-f",
		"{{.Path}}\t{{.Version}}{{with .Replace}}=>{{.Path}}{{.Version}}{{end}}\t{{.Dir}}", "all")
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

// Move has packages be found from another folder.
func (t *Toolchain) Move(dir string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.options.Dir = dir
}

// Add lets cells import more packages, which are found from a folder: a workspace that has the worker's module in it.
// What has been loaded before stays as it is. Add returns what it has found.
func (t *Toolchain) Add(ctx context.Context, dir string, roots ...string) (map[string]Package, error) {
	packages, err := t.list(ctx, dir, roots)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	found := map[string]Package{}
	for path, p := range packages {
		if _, ok := t.config.Packages[path]; !ok || p.Archive != "" && t.loaded[path] == "" {
			t.config.Packages[path] = p
		}
		found[path] = Package{Archive: p.Archive, Loaded: t.loaded[path], Dir: p.Dir, Imports: p.Imports}
	}
	t.options.Dir = dir
	t.options.Roots = append(t.options.Roots, roots...)
	return found, nil
}

// Package is one that cells can import.
type Package struct {
	Archive string
	Loaded  string // the archive that the process has loaded, "" where it has none
	Dir     string
	Imports []string
}

// Importable returns the import paths of all packages of the modules that the module in Dir requires directly, and of
// the standard library, by package name: those too that cannot be imported before they are added.
func (t *Toolchain) Importable(ctx context.Context) (map[string][]string, error) {
	modules, err := t.goCommand(ctx, t.options.Dir, "list", "-m", "-f", "{{if not .Indirect}}{{.Path}}/...{{end}}", "all")
	if err != nil {
		return nil, err
	}
	out, err := t.goCommand(ctx, t.options.Dir, append([]string{"list", "-e", "-f", "{{.Name}}\t{{.ImportPath}}", "std"},
		strings.Fields(modules)...)...)
	if err != nil {
		return nil, err
	}
	paths := map[string][]string{}
	for line := range strings.Lines(out) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name != "main" && !strings.Contains("/"+path+"/", "/internal/") && !strings.HasPrefix(path, "vendor/") {
			paths[name] = append(paths[name], path)
		}
	}
	return paths, nil
}

// goCommand runs the go command and returns what it prints.
func (t *Toolchain) goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := procs.Command(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(scratch.Env(), goflags.InWorkspace()...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the go command is not in PATH: compiled cells need the Go that loupe was built with")
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args[:min(len(args), 2)], " "), err,
			strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// list returns the archives of packages and of all that they import, compiled for plugins.
func (t *Toolchain) list(ctx context.Context, dir string, roots []string) (map[string]prepared, error) {
	args := []string{"list", "-export", "-deps", "-buildmode=plugin"}
	if thin {
		args = append(args, "-gcflags=all=-linkshared")
	}
	args = append(args, "-f", "{{.ImportPath}}\t{{.Name}}\t{{.Export}}\t{{join .Imports \" \"}}\t{{.Dir}}")
	out, err := t.goCommand(ctx, dir, append(args, roots...)...)
	if err != nil {
		return nil, err
	}
	packages := map[string]prepared{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) == 5 {
			p := prepared{Name: f[1], Archive: f[2], Imports: strings.Fields(f[3]), Dir: f[4]}
			if info, err := os.Stat(p.Archive); err == nil {
				p.Size = info.Size()
			}
			packages[f[0]] = p
		}
	}
	return packages, nil
}

// Packages returns the import paths of what cells can import, with the packages' names.
func (t *Toolchain) Packages() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]string{}
	for path, p := range t.config.Packages {
		if p.Archive != "" && p.Name != "main" && !strings.Contains("/"+path+"/", "/internal/") &&
			!strings.HasPrefix(path, "vendor/") || path == "unsafe" {
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
	if !t.sound(archive) {
		if _, err := t.mend(context.Background(), []string{path}); err != nil {
			return nil, err
		}
		archive, _ = t.archive(path)
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
		t.mu.Lock()
		imports := slices.Concat(t.config.Packages[path].Imports, t.imports[path])
		t.mu.Unlock()
		t.closure(imports, all)
	}
}

// Load loads a built unit into this process; its init functions run.
func (t *Toolchain) Load(b *Built) error {
	_, err := plugin.Open(b.Plugin)
	if err != nil && b.Thin {
		// It refers to something that another process had and this one has not. A full one has it in itself.
		full, errFull := t.build(context.Background(), b.unit, false)
		if errFull != nil {
			return errors.Join(err, errFull)
		}
		*b = *full
		_, err = plugin.Open(b.Plugin)
	}
	if err != nil {
		if e := (&CompileError{}); b.unit.Cgo {
			if e.undefined(err.Error()); len(e.Diagnostics) > 0 {
				return e
			}
		}
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
