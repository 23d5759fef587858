package goeval

import (
	"context"
	"fmt"
	"go/version"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/scratch"
)

// Modules that cells import besides those of loupe come through a workspace: a go.work, made for the notebook, that uses loupe's
// module, a module that requires what the user has got, and the user's own.

// workspace is where the notebook's modules are found.
type workspace struct {
	dir  string   // of go.work
	uses []string // folders of the user's modules
}

// workspace makes the folder on first use.
func (e *Evaluator) workspace() (*workspace, error) {
	if e.work != nil {
		return e.work, nil
	}
	own, err := scratch.Dir()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(own, "modules-")
	if err != nil {
		return nil, err
	}
	w := &workspace{dir: dir}
	if err := os.Mkdir(filepath.Join(dir, "got"), 0o755); err != nil {
		return nil, err
	}
	module := fmt.Sprintf("module cells/got\n\ngo %s\n", strings.TrimPrefix(version.Lang(runtime.Version()), "go"))
	if err := os.WriteFile(filepath.Join(dir, "got", "go.mod"), []byte(module), 0o644); err != nil {
		return nil, err
	}
	e.work = w
	return w, nil
}

// Close removes what the evaluator has put on disk.
func (e *Evaluator) Close() error {
	if e.work == nil {
		return nil
	}
	return os.RemoveAll(e.work.dir)
}

// write writes go.work.
func (w *workspace) write(source string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "go %s\n\nuse (\n\t%s\n\t./got\n", strings.TrimPrefix(runtime.Version(), "go"), source)
	for _, dir := range w.uses {
		fmt.Fprintf(&text, "\t%s\n", dir)
	}
	text.WriteString(")\n")
	return os.WriteFile(filepath.Join(w.dir, "go.work"), []byte(text.String()), 0o644)
}

// mod carries out %mod.
func (r *run) mod(words []string) (says string, err error) {
	switch {
	case len(words) == 3 && words[1] == "get":
		return r.modGet(words[2])
	case len(words) == 3 && words[1] == "use":
		return r.modUse(words[2])
	}
	return "", fmt.Errorf("%%mod get path@version lets cells import a module, %%mod use DIR the module in a folder of yours")
}

func (r *run) modGet(module string) (string, error) {
	if !strings.Contains(module, "@") {
		return "", fmt.Errorf("%%mod get %s names no version: write %s@v1.2.3, or @latest where your proxy tells it", module, module)
	}
	w, err := r.workspace()
	if err != nil {
		return "", err
	}
	got := filepath.Join(w.dir, "got")
	before, err := os.ReadFile(filepath.Join(got, "go.mod"))
	if err != nil {
		return "", err
	}
	undo := func() { os.WriteFile(filepath.Join(got, "go.mod"), before, 0o644) }
	if err := goCommand(r.ctx, got, []string{"GOWORK=off"}, "get", module); err != nil {
		undo()
		return "", err
	}
	path, _, _ := strings.Cut(module, "@")
	says, err := r.join(w, path+"/...")
	if err != nil {
		undo()
		return "", err
	}
	return "cells can import " + path + says, nil
}

func (r *run) modUse(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	w, err := r.workspace()
	if err != nil {
		return "", err
	}
	var dirs, paths []string
	switch {
	case exists(filepath.Join(dir, "go.work")):
		out, err := output(r.ctx, dir, []string{"GOWORK=" + filepath.Join(dir, "go.work")}, "list", "-m", "-f", "{{.Dir}}\t{{.Path}}")
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(out) {
			d, p, _ := strings.Cut(strings.TrimSpace(line), "\t")
			dirs, paths = append(dirs, d), append(paths, p)
		}
	case exists(filepath.Join(dir, "go.mod")):
		out, err := output(r.ctx, dir, []string{"GOWORK=off"}, "list", "-m")
		if err != nil {
			return "", err
		}
		dirs, paths = []string{dir}, []string{strings.TrimSpace(out)}
	default:
		return "", fmt.Errorf("%s has neither a go.mod nor a go.work: %%mod use wants the folder of a module", dir)
	}
	before := slices.Clone(w.uses)
	for _, d := range dirs {
		if !slices.Contains(w.uses, d) {
			w.uses = append(w.uses, d)
		}
	}
	var roots []string
	for _, p := range paths {
		roots = append(roots, p+"/...")
	}
	says, err := r.join(w, roots...)
	if err != nil {
		w.uses = before
		return "", err
	}
	return "cells can import " + strings.Join(paths, ", ") + says, nil
}

// join lets cells import packages of the workspace, unless that would move what the worker has linked.
func (r *run) join(w *workspace, roots ...string) (says string, err error) {
	tools := r.options.Toolchain
	source := r.source
	if source == "" {
		source = tools.Dir()
		r.source = source
	}
	if err := w.write(source); err != nil {
		return "", err
	}
	now, err := tools.Modules(r.ctx, source)
	if err != nil {
		return "", err
	}
	then, err := tools.Modules(r.ctx, w.dir)
	if err != nil {
		return "", err
	}
	var moved []string
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if m, ok := then[path]; ok && m.Version != now[path].Version && r.options.Linked[path] {
			moved = append(moved, fmt.Sprintf("%s from %s to %s", path, now[path].Version, m.Version))
		}
	}
	if len(moved) > 0 {
		return "", fmt.Errorf("this needs other versions of modules that the worker has linked, which cannot be exchanged while it runs: %s. Ask for an older version of the module, or raise these in loupe's go.mod and run install.sh", strings.Join(moved, "; "))
	}
	if err := tools.Add(r.ctx, w.dir, roots...); err != nil {
		return "", err
	}
	r.learnPackages()
	return "", nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func goCommand(ctx context.Context, dir string, env []string, args ...string) error {
	_, err := output(ctx, dir, env, args...)
	return err
}

// output runs the go command and returns what it prints.
func output(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(scratch.Env(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("go %s: %s", strings.Join(args, " "), strings.Join(lines[max(0, len(lines)-3):], "\n"))
	}
	return string(out), nil
}
