// Package modules lets cells import modules besides those of loupe. These come through a workspace: a go.work, made for
// the notebook, that uses loupe's module, a module that requires what the user has got, and the user's own.
package modules

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
	"sync"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/loupeml/loupe/internal/procs"
	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
	"github.com/loupeml/loupe/kernel/toolchain"
)

// workspace is where the notebook's modules are found.
type workspace struct {
	dir  string   // of go.work
	uses []string // folders of the user's modules
	// renewed are folders of modules with packages that have changed since they were loaded.
	renewed []string
}

// Modules are those of one evaluator.
type Modules struct {
	tools    *toolchain.Toolchain
	linked   map[string]bool // paths of the modules that are linked into this program
	importer types.Importer
	changed  func() // called when cells can import other packages than before

	work       *workspace          // nil until a module is added
	source     string              // the folder of the module that the worker was built from
	importable map[string][]string // import paths by package name, of what could be added; nil until it is asked for

	mu      sync.Mutex        // guards instead
	instead map[string]string // by import path, that of the copy
	made    map[string]string // by import path, the archive of the package itself that the copy is like
	anew    []string          // what the last %mod use has renewed
	copies  int               // modules of copies
}

// New returns the modules of an evaluator whose packages importer imports. changed is called when cells can
// import other packages than before.
func New(tools *toolchain.Toolchain, linked map[string]bool, importer types.Importer, changed func()) *Modules {
	return &Modules{tools: tools, linked: linked, importer: importer, changed: changed}
}

// workspace makes the folder on first use.
func (m *Modules) workspace() (*workspace, error) {
	if m.work != nil {
		return m.work, nil
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
	if err := m.write(w); err != nil {
		return nil, err
	}
	m.work = w
	return w, os.Setenv("GONB_TMP_DIR", w.got())
}

// write writes the module of what the user has got. It requires what loupe's own module does, in the same versions:
// what is got then fits to what the worker has linked, where it can.
func (m *Modules) write(w *workspace) error {
	source := m.tools.Dir()
	text := fmt.Sprintf("module cells/got\n\ngo %s\n", strings.TrimPrefix(version.Lang(runtime.Version()), "go"))
	own, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err == nil {
		file, err := modfile.Parse("go.mod", own, nil)
		if err != nil {
			return err
		}
		for _, r := range file.Require {
			text += fmt.Sprintf("require %s %s // indirect\n", r.Mod.Path, r.Mod.Version)
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

// Close removes what is on disk of it.
func (m *Modules) Close() error {
	if m.work == nil {
		return nil
	}
	return os.RemoveAll(m.work.dir)
}

// Forget lets the next module that is got begin afresh. What has been imported already stays as it is.
func (m *Modules) Forget() error {
	if m.work == nil {
		return nil
	}
	if m.source != "" {
		m.tools.Move(m.source)
	}
	err := m.Close()
	m.work = nil
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

// Mod carries out %mod.
func (m *Modules) Mod(ctx context.Context, words []string) (says string, err error) {
	switch {
	case len(words) == 3 && words[1] == "get":
		return m.modGet(ctx, words[2])
	case len(words) == 3 && words[1] == "use":
		return m.modUse(ctx, words[2])
	case len(words) == 2 && words[1] == "list":
		return m.modList()
	}
	return "", fmt.Errorf("%%mod get path@version lets cells import a module, %%mod use DIR the module in a folder of " +
		"yours; %%mod list tells which ones there are")
}

// modList tells which modules cells can import besides loupe's own: a line for each folder in use, and for each that
// has been got or is needed by one of those.
func (m *Modules) modList() (string, error) {
	var lines []string
	if m.work != nil {
		for _, dir := range m.work.uses {
			text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err != nil {
				return "", err
			}
			lines = append(lines, modfile.ModulePath(text)+" => "+dir)
		}
		own, err := requiredBy(filepath.Join(cmp.Or(m.source, m.tools.Dir()), "go.mod"))
		if err != nil {
			return "", err
		}
		text, err := os.ReadFile(m.work.requirements())
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

func (m *Modules) modGet(ctx context.Context, wanted string) (string, error) {
	path, version, _ := strings.Cut(wanted, "@")
	if version == "" {
		return "", fmt.Errorf("%%mod get %s names no version: write %s@v1.2.3, or @latest where your proxy tells it",
			wanted, wanted)
	}
	if err := m.get(ctx, wanted, path+"/..."); err != nil {
		return "", err
	}
	return "cells can import " + path, nil
}

// get has the go command get a module, and lets cells import packages of it.
func (m *Modules) get(ctx context.Context, wanted string, packages ...string) error {
	w, err := m.workspace()
	if err != nil {
		return err
	}
	return m.changing(ctx, w, func(before []byte) ([]string, error) {
		path, _, _ := strings.Cut(wanted, "@")
		if required, err := withReplaced(before, path); required != nil || err != nil {
			return packages, errors.Join(err, os.WriteFile(w.requirements(), required, 0o600))
		}
		return packages, goCommand(ctx, w.got(), []string{"GOWORK=off"}, "get", wanted)
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
func (m *Modules) changing(ctx context.Context, w *workspace, change func(before []byte) (packages []string,
	err error)) error {
	before, err := os.ReadFile(w.requirements())
	if err != nil {
		return err
	}
	packages, err := change(before)
	if err == nil && len(packages) > 0 {
		err = m.join(ctx, w, packages...)
	}
	if err != nil {
		os.WriteFile(w.requirements(), before, 0o644)
	}
	return err
}

// InFolder runs what may change the module of what the user has got, in its folder. Cells can import what it adds to
// go.mod; where it returns false, nothing has come of it.
func (m *Modules) InFolder(ctx context.Context, run func(dir string) bool) error {
	w, err := m.workspace()
	if err != nil {
		return err
	}
	return m.changing(ctx, w, func(before []byte) ([]string, error) {
		ok := run(w.got())
		after, err := os.ReadFile(w.requirements())
		if !ok || err != nil || bytes.Equal(before, after) {
			return nil, nil
		}
		return required(before, after)
	})
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

// GetFor lets a cell import what it does and what no module of the notebook has.
func (m *Modules) GetFor(ctx context.Context, items []*syntax.Item) error {
	for _, it := range items {
		if it.Kind != syntax.ImportItem {
			continue
		}
		for _, path := range it.ImportPaths() {
			if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
				continue
			}
			if _, err := m.importer.Import(path); err == nil {
				continue
			}
			// A module that loupe has been built with need not be looked for.
			if _, err := m.tools.Add(ctx, m.tools.Dir(), path); err == nil {
				m.changed()
				continue
			}
			wanted := path + m.versionOf(ctx, path)
			fmt.Fprintf(os.Stderr, "getting %s\n", wanted)
			if err := m.get(ctx, wanted, path); err != nil {
				return fmt.Errorf("package %s is in none of this notebook's modules, and cannot be got: %w; %%mod get "+
					"%s@VERSION names a version of it", path, err, ModuleOf(path))
			}
		}
	}
	return nil
}

// FindFor lets a cell use, without importing it, a package that is in one of the modules that loupe was built with
// and that loupe itself does not use. has reports whether a name stands for something already.
func (m *Modules) FindFor(ctx context.Context, items []*syntax.Item, has func(name string) bool) {
	known := map[string]bool{}
	for _, it := range items {
		for _, name := range it.Defines {
			known[name] = true
		}
		if it.Kind == syntax.ImportItem {
			for _, spec := range it.Decl.(*ast.GenDecl).Specs {
				if s := spec.(*ast.ImportSpec); s.Name != nil {
					known[s.Name.Name] = true
				} else if p, err := m.importer.Import(strings.Trim(s.Path.Value, "\"`")); err == nil {
					known[p.Name()] = true
				}
			}
		}
	}
	for _, it := range items {
		for name := range it.Qualifiers {
			if known[name] || has(name) || types.Universe.Lookup(name) != nil {
				continue
			}
			known[name] = true
			if m.importable == nil {
				var err error
				if m.importable, err = m.tools.Importable(ctx); err != nil {
					return // the check tells that the name is not known
				}
			}
			paths := slices.Clone(m.importable[name])
			slices.SortFunc(paths, Nearer)
			if len(paths) > 0 {
				if _, err := m.tools.Add(ctx, m.tools.Dir(), paths[0]); err == nil {
					m.changed()
				}
			}
		}
	}
}

// versionOf returns the version that a package's module has among those that loupe was built from, as far as these name
// it, with @ before it: another one might not fit to them.
func (m *Modules) versionOf(ctx context.Context, path string) string {
	all, err := m.tools.Modules(ctx, m.tools.Dir())
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

// UseWork lets cells import the modules that a go.work beside the module of what the user has got uses.
func (m *Modules) UseWork(ctx context.Context) (string, error) {
	w, err := m.workspace()
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
		said, err := m.modUse(ctx, dir)
		if err != nil {
			return "", err
		}
		says = append(says, said)
	}
	return strings.Join(says, "\n"), nil
}

func (m *Modules) modUse(ctx context.Context, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	w, err := m.workspace()
	if err != nil {
		return "", err
	}
	var dirs, paths []string
	switch {
	case exists(filepath.Join(dir, "go.work")):
		out, err := output(ctx, dir, []string{"GOWORK=" + filepath.Join(dir, "go.work")}, "list", "-m", "-f",
			"{{.Dir}}\t{{.Path}}")
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(out) {
			d, p, _ := strings.Cut(strings.TrimSpace(line), "\t")
			dirs, paths = append(dirs, d), append(paths, p)
		}
	case exists(filepath.Join(dir, "go.mod")):
		out, err := output(ctx, dir, []string{"GOWORK=off"}, "list", "-m")
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
	if err := m.join(ctx, w, roots...); err != nil {
		w.uses = before
		return "", err
	}
	says := "cells can import " + strings.Join(paths, ", ")
	if len(m.anew) > 0 {
		says += "; new cells run the changed code of " + strings.Join(m.anew, ", ") +
			", and what earlier cells have made of it stays as it was"
	}
	return says, nil
}

// join lets cells import packages of the workspace, unless that would move what the worker has linked.
func (m *Modules) join(ctx context.Context, w *workspace, roots ...string) error {
	tools := m.tools
	source := m.source
	if source == "" {
		source = tools.Dir()
		m.source = source
	}
	if err := w.write(source); err != nil {
		return err
	}
	now, err := tools.Modules(ctx, source)
	if err != nil {
		return err
	}
	then, err := tools.Modules(ctx, w.dir)
	if err != nil {
		return err
	}
	var moved []string
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if t, ok := then[path]; ok && t.Version != now[path].Version && m.linked[path] {
			moved = append(moved, fmt.Sprintf("%s from %s to %s", path, now[path].Version, t.Version))
		}
	}
	if len(moved) > 0 {
		return fmt.Errorf("this needs other versions of modules that the worker has linked, which cannot be exchanged "+
			"while it runs: %s. Ask for an older version of the module, or raise these in loupe's go.mod and run install.sh",
			strings.Join(moved, "; "))
	}
	found, err := tools.Add(ctx, w.dir, roots...)
	if err == nil {
		err = m.renew(ctx, w, source, found)
	}
	if err != nil {
		return err
	}
	m.changed()
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

// ModuleOf guesses the module of a package from its import path.
func ModuleOf(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(parts[:min(len(parts), 3)], "/")
}

// Nearer puts, of import paths of packages of one name, the standard library's before others, and the shorter before
// the longer.
func Nearer(a, b string) int {
	if x, y := strings.Contains(a, "."), strings.Contains(b, "."); x != y {
		if x {
			return 1
		}
		return -1
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
