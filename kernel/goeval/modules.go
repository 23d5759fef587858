package goeval

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/types"
	"go/version"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/loupeml/loupe/internal/procs"
	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Modules that cells import besides those of loupe come through a workspace: a go.work, made for the notebook, that
// uses loupe's module, a module that requires what the user has got, and the user's own.

// workspace is where the notebook's modules are found.
type workspace struct {
	dir  string   // of go.work
	uses []string // folders of the user's modules
	// renewed are folders of modules with packages that have changed since they were loaded.
	renewed []string
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
	if err := os.Mkdir(w.got(), 0o755); err != nil {
		return nil, err
	}
	if err := e.write(w); err != nil {
		return nil, err
	}
	e.work = w
	return w, os.Setenv("GONB_TMP_DIR", w.got())
}

// write writes the module of what the user has got. It requires what loupe's own module does, in the same versions:
// what is got then fits to what the worker has linked, where it can.
func (e *Evaluator) write(w *workspace) error {
	source := e.options.Toolchain.Dir()
	text := fmt.Sprintf("module cells/got\n\ngo %s\n", strings.TrimPrefix(version.Lang(runtime.Version()), "go"))
	own, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err == nil {
		file, err := modfile.Parse("go.mod", own, nil)
		if err != nil {
			return err
		}
		for _, m := range file.Require {
			text += fmt.Sprintf("require %s %s // indirect\n", m.Mod.Path, m.Mod.Version)
		}
		sums, err := os.ReadFile(filepath.Join(source, "go.sum"))
		if err == nil {
			err = os.WriteFile(filepath.Join(w.got(), "go.sum"), sums, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return os.WriteFile(w.requirements(), []byte(text), 0o644)
}

// got is the folder of the module that requires what the user has got.
func (w *workspace) got() string { return filepath.Join(w.dir, "got") }

// requirements is that module's go.mod.
func (w *workspace) requirements() string { return filepath.Join(w.got(), "go.mod") }

// Close removes what the evaluator has put on disk.
func (e *Evaluator) Close() error {
	if e.work == nil {
		return nil
	}
	return os.RemoveAll(e.work.dir)
}

// forgetModules lets the next module that is got begin afresh. What has been imported already stays as it is.
func (e *Evaluator) forgetModules() error {
	if e.work == nil {
		return nil
	}
	if e.source != "" {
		e.options.Toolchain.Move(e.source)
	}
	err := e.Close()
	e.work = nil
	return err
}

// write writes go.work.
func (w *workspace) write(source string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "go %s\n\nuse (\n\t%s\n\t./got\n", strings.TrimPrefix(runtime.Version(), "go"),
		strconv.Quote(source))
	for _, dir := range slices.Concat(w.uses, w.renewed) {
		fmt.Fprintf(&text, "\t%s\n", strconv.Quote(dir))
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
	case len(words) == 2 && words[1] == "list":
		return r.modList()
	}
	return "", fmt.Errorf("%%mod get path@version lets cells import a module, %%mod use DIR the module in a folder of " +
		"yours; %%mod list tells which ones there are")
}

// modList tells which modules cells can import besides loupe's own: a line for each folder in use, and for each that
// has been got or is needed by one of those.
func (r *run) modList() (string, error) {
	var lines []string
	if r.work != nil {
		for _, dir := range r.work.uses {
			text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err != nil {
				return "", err
			}
			lines = append(lines, modfile.ModulePath(text)+" => "+dir)
		}
		own, err := requiredBy(filepath.Join(cmp.Or(r.source, r.options.Toolchain.Dir()), "go.mod"))
		if err != nil {
			return "", err
		}
		text, err := os.ReadFile(r.work.requirements())
		if err != nil {
			return "", err
		}
		file, err := modfile.Parse("go.mod", text, nil)
		if err != nil {
			return "", err
		}
		replaced := map[string]string{}
		for _, replace := range file.Replace {
			replaced[replace.Old.Path] = " => " + strings.TrimSpace(replace.New.Path+" "+replace.New.Version)
		}
		for _, m := range file.Require {
			if own[m.Mod.Path] != m.Mod.Version || replaced[m.Mod.Path] != "" {
				lines = append(lines, m.Mod.Path+" "+m.Mod.Version+replaced[m.Mod.Path])
			}
		}
	}
	if len(lines) == 0 {
		return "cells can import what loupe was built with; %mod get PATH@VERSION and %mod use DIR add to that", nil
	}
	return strings.Join(lines, "\n"), nil
}

// requiredBy returns the versions of the modules that a go.mod requires. There are none where there is no such file.
func requiredBy(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	file, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, m := range file.Require {
		versions[m.Mod.Path] = m.Mod.Version
	}
	return versions, nil
}

func (r *run) modGet(wanted string) (string, error) {
	path, version, _ := strings.Cut(wanted, "@")
	if version == "" {
		return "", fmt.Errorf("%%mod get %s names no version: write %s@v1.2.3, or @latest where your proxy tells it",
			wanted, wanted)
	}
	if err := r.get(wanted, path+"/..."); err != nil {
		return "", err
	}
	return "cells can import " + path, nil
}

// get has the go command get a module, and lets cells import packages of it.
func (r *run) get(wanted string, packages ...string) error {
	w, err := r.workspace()
	if err != nil {
		return err
	}
	return r.changing(w, func(before []byte) ([]string, error) {
		path, _, _ := strings.Cut(wanted, "@")
		if required, err := withReplaced(before, path); required != nil || err != nil {
			return packages, errors.Join(err, os.WriteFile(w.requirements(), required, 0o600))
		}
		return packages, goCommand(r.ctx, w.got(), []string{"GOWORK=off"}, "get", wanted)
	})
}

// withReplaced requires, in a go.mod, the module of a package that the file replaces by a folder: the go command would
// ask the network for its versions. It returns nil where there is none.
func withReplaced(text []byte, path string) ([]byte, error) {
	file, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	for _, replace := range file.Replace {
		if replace.New.Version != "" || path != replace.Old.Path && !strings.HasPrefix(path, replace.Old.Path+"/") {
			continue
		}
		version := replace.Old.Version
		if version == "" {
			version = module.ZeroPseudoVersion("v0")
			if _, major, ok := module.SplitPathVersion(replace.Old.Path); ok && major != "" {
				version = module.ZeroPseudoVersion(module.PathMajorPrefix(major))
			}
		}
		if err := file.AddRequire(replace.Old.Path, version); err != nil {
			return nil, err
		}
		return file.Format()
	}
	return nil, nil
}

// changing runs what may change the requirements of the module of what the user has got, which are before, and lets
// cells import the packages that it returns. Where that cannot be, the requirements are as they were.
func (r *run) changing(w *workspace, change func(before []byte) (packages []string, err error)) error {
	before, err := os.ReadFile(w.requirements())
	if err != nil {
		return err
	}
	packages, err := change(before)
	if err == nil && len(packages) > 0 {
		err = r.join(w, packages...)
	}
	if err != nil {
		os.WriteFile(w.requirements(), before, 0o644)
	}
	return err
}

// inModule runs a command of the shell in the folder of the module of what the user has got, as GoNB's !* does. Cells
// can import what it adds to go.mod, and what a go.work that it makes uses.
func (r *run) inModule(line string) engine.Result {
	w, err := r.workspace()
	if err != nil {
		return magicFailure(err)
	}
	var result engine.Result
	err = r.changing(w, func(before []byte) ([]string, error) {
		result = r.shellIn(w.got(), line)
		after, err := os.ReadFile(w.requirements())
		if result.Failure != nil || err != nil || bytes.Equal(before, after) {
			return nil, nil
		}
		return required(before, after)
	})
	if err != nil {
		return magicFailure(err)
	}
	return result
}

// required are the packages of the modules that a go.mod requires now, and did not in this version before.
func required(before, after []byte) ([]string, error) {
	then, err := modfile.Parse("go.mod", before, nil)
	if err != nil {
		return nil, err
	}
	now, err := modfile.Parse("go.mod", after, nil)
	if err != nil {
		return nil, err
	}
	was := map[module.Version]bool{}
	for _, m := range then.Require {
		was[m.Mod] = true
	}
	// go get marks all that it adds as indirect, for no package imports it yet: that which others of them need is there
	// as well.
	var packages []string
	for _, m := range now.Require {
		if !was[m.Mod] {
			packages = append(packages, m.Mod.Path+"/...")
		}
	}
	return packages, nil
}

// autoget lets the cell import what it does and what no module of the notebook has, unless %noautoget has been said.
func (r *run) autoget(items []*syntax.Item) error {
	if r.noAutoget {
		return nil
	}
	for _, it := range items {
		if it.Kind != syntax.ImportItem {
			continue
		}
		for _, path := range it.ImportPaths() {
			if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
				continue
			}
			if _, err := r.importer.Import(path); err == nil {
				continue
			}
			// A module that loupe has been built with need not be looked for.
			if _, err := r.options.Toolchain.Add(r.ctx, r.options.Toolchain.Dir(), path); err == nil {
				r.learnPackages()
				continue
			}
			wanted := path + r.versionOf(path)
			fmt.Fprintf(os.Stderr, "getting %s\n", wanted)
			if err := r.get(wanted, path); err != nil {
				return fmt.Errorf("package %s is in none of this notebook's modules, and cannot be got: %w; %%mod get "+
					"%s@VERSION names a version of it", path, err, moduleOf(path))
			}
		}
	}
	return nil
}

// autofind lets the cell use, without importing it, a package that is in one of the modules that loupe was built with
// and that loupe itself does not use, unless %noautoget has been said.
func (r *run) autofind(items []*syntax.Item) {
	if r.noAutoget {
		return
	}
	known := map[string]bool{}
	for _, it := range items {
		for _, name := range it.Defines {
			known[name] = true
		}
		if it.Kind == syntax.ImportItem {
			for _, spec := range it.Decl.(*ast.GenDecl).Specs {
				if s := spec.(*ast.ImportSpec); s.Name != nil {
					known[s.Name.Name] = true
				} else if p, err := r.importer.Import(strings.Trim(s.Path.Value, "\"`")); err == nil {
					known[p.Name()] = true
				}
			}
		}
	}
	for _, it := range items {
		for name := range it.Qualifiers {
			if known[name] || r.ns.Bindings[name] != nil || r.ns.Imports[name] != "" || len(r.packages[name]) > 0 ||
				types.Universe.Lookup(name) != nil {
				continue
			}
			known[name] = true
			if r.importable == nil {
				var err error
				if r.importable, err = r.options.Toolchain.Importable(r.ctx); err != nil {
					return // the check tells that the name is not known
				}
			}
			paths := slices.Clone(r.importable[name])
			slices.SortFunc(paths, nearer)
			if len(paths) > 0 {
				if _, err := r.options.Toolchain.Add(r.ctx, r.options.Toolchain.Dir(), paths[0]); err == nil {
					r.learnPackages()
				}
			}
		}
	}
}

// versionOf returns the version that a package's module has among those that loupe was built from, as far as these name
// it, with @ before it: another one might not fit to them.
func (r *run) versionOf(path string) string {
	all, err := r.options.Toolchain.Modules(r.ctx, r.options.Toolchain.Dir())
	if err != nil {
		return ""
	}
	for p := path; strings.Contains(p, "/"); p = p[:strings.LastIndex(p, "/")] {
		if m, ok := all[p]; ok && strings.HasPrefix(m.Version, "v") && !strings.Contains(m.Version, "=>") {
			return "@" + m.Version
		}
	}
	return ""
}

// workUses lets cells import the modules that a go.work beside the module of what the user has got uses.
func (r *run) workUses(string) (string, error) {
	w, err := r.workspace()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(w.got(), "go.work"))
	if err != nil {
		return "", errors.New("there is no go.work: !*go work init, and !*go work use DIR, make one; or say %mod use DIR")
	}
	file, err := modfile.ParseWork("go.work", text, nil)
	if err != nil {
		return "", err
	}
	var says []string
	for _, use := range file.Use {
		dir := use.Path
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(w.got(), dir)
		}
		if dir == w.got() {
			continue
		}
		said, err := r.modUse(dir)
		if err != nil {
			return "", err
		}
		says = append(says, said)
	}
	return strings.Join(says, "\n"), nil
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
		out, err := output(r.ctx, dir, []string{"GOWORK=" + filepath.Join(dir, "go.work")}, "list", "-m", "-f",
			"{{.Dir}}\t{{.Path}}")
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
	if err := r.join(w, roots...); err != nil {
		w.uses = before
		return "", err
	}
	says := "cells can import " + strings.Join(paths, ", ")
	if len(r.anew) > 0 {
		says += "; new cells run the changed code of " + strings.Join(r.anew, ", ") +
			", and what earlier cells have made of it stays as it was"
	}
	return says, nil
}

// join lets cells import packages of the workspace, unless that would move what the worker has linked.
func (r *run) join(w *workspace, roots ...string) error {
	tools := r.options.Toolchain
	source := r.source
	if source == "" {
		source = tools.Dir()
		r.source = source
	}
	if err := w.write(source); err != nil {
		return err
	}
	now, err := tools.Modules(r.ctx, source)
	if err != nil {
		return err
	}
	then, err := tools.Modules(r.ctx, w.dir)
	if err != nil {
		return err
	}
	var moved []string
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if m, ok := then[path]; ok && m.Version != now[path].Version && r.options.Linked[path] {
			moved = append(moved, fmt.Sprintf("%s from %s to %s", path, now[path].Version, m.Version))
		}
	}
	if len(moved) > 0 {
		return fmt.Errorf("this needs other versions of modules that the worker has linked, which cannot be exchanged "+
			"while it runs: %s. Ask for an older version of the module, or raise these in loupe's go.mod and run install.sh",
			strings.Join(moved, "; "))
	}
	found, err := tools.Add(r.ctx, w.dir, roots...)
	if err == nil {
		err = r.renew(w, source, found)
	}
	if err != nil {
		return err
	}
	r.learnPackages()
	return nil
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
	cmd := procs.Command(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(scratch.Env(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %s", strings.Join(args, " "), sentence(stderr.String()))
	}
	return string(out), nil
}

// progressOf is what the go command says of its progress, and what it says of others' mistakes at the end of an error.
var progressOf = regexp.MustCompile(
	`^(go: (downloading|finding|added|upgraded|extracting) |Confirm the import path|If this is a private repository)`)

// refusedAccess is how version control and servers word that they want to know who asks.
var refusedAccess = regexp.MustCompile(`could not read Username|terminal prompts disabled|Permission ` +
	`denied|Authentication failed|: 40[134] |40[134] Not Found|401 Unauthorized|403 Forbidden`)

// sentence makes one of what the go command says.
func sentence(said string) string {
	var parts []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if line == "" || progressOf.MatchString(line) {
			continue
		}
		parts = append(parts, strings.TrimPrefix(line, "go: "))
	}
	const most = 4
	text := strings.Join(parts[:min(len(parts), most)], "; ")
	if len(parts) > most {
		text += fmt.Sprintf("; and %d lines more", len(parts)-most)
	}
	if refusedAccess.MatchString(said) {
		text += "; for a private module, GOPRIVATE names it, and git or ~/.netrc knows who you are"
	}
	return text
}
