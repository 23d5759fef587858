// Package program runs files of Go as go run does: the go command builds them, and the program then takes the place of
// this process. Signals, the terminal, the exit status and the standard streams are the program's own.
//
// What has been built is kept, so that the go command need not link the same again. Each program has a folder, which is
// locked until the program runs.
package program

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/loupeml/loupe/internal/goflags"
	"github.com/loupeml/loupe/internal/source"
	"github.com/loupeml/loupe/internal/wholefile"
	"github.com/loupeml/loupe/internal/xlaplugin"
)

// Program is what is to be run.
type Program struct {
	// Files are of one package. Where there are none, Dir is a package's folder.
	Files []File
	Dir   string
	// Tags are build tags, parted by commas.
	Tags string
	// Cache is the folder in which programs are kept.
	Cache string
}

// File is a file of a program.
type File struct {
	Path string
	// Text is what is compiled in place of the file, nil where that is the file itself. Where there is a text there need
	// be no file.
	Text []byte
}

// BuildError says that the go command has not built a program. It has told why on standard error.
type BuildError struct{ Status int }

func (e *BuildError) Error() string { return "the program was not built" }

// Run builds a program, and runs it in place of this process. It returns only where that cannot be.
func (p Program) Run(ctx context.Context, args []string) error {
	if err := p.isMain(); err != nil {
		return err
	}
	dir, err := p.folder()
	if err != nil {
		return err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("program: %w", err)
	}
	defer lock.Unlock() // to run the program closes it as well
	binary := filepath.Join(dir, p.name())
	if err := p.build(ctx, dir, binary); err != nil {
		return err
	}
	env := os.Environ()
	if p.importsModules() {
		env = append(env, xlaplugin.Environment()...)
	}
	if err := syscall.Exec(binary, append([]string{binary}, args...), env); err != nil {
		return fmt.Errorf("program: %s cannot be run: %w", binary, err)
	}
	return nil
}

// isMain refuses a package that is no program: the go command would build it, and there would be nothing to run.
func (p Program) isMain() error {
	name, what := "", p.Dir
	if len(p.Files) > 0 {
		what = p.Files[0].Path
		var text any
		if p.Files[0].Text != nil {
			text = p.Files[0].Text
		}
		file, err := parser.ParseFile(token.NewFileSet(), what, text, parser.PackageClauseOnly)
		if err != nil {
			return nil // the compiler tells
		}
		name = file.Name.Name
	} else {
		context := build.Default
		if p.Tags != "" {
			context.BuildTags = strings.Split(p.Tags, ",")
		}
		pkg, err := context.ImportDir(p.Dir, 0)
		if err != nil {
			return nil // the go command tells
		}
		name = pkg.Name
	}
	if name != "main" {
		return fmt.Errorf("%s is of package %s and no program: one is of package main", what, name)
	}
	return nil
}

// folder makes the folder in which the program is kept.
func (p Program) folder() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), p.Dir, p.Tags)
	for _, f := range p.Files {
		path, err := filepath.Abs(f.Path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, path)
	}
	dir := filepath.Join(p.Cache, hex.EncodeToString(h.Sum(nil)[:12]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("program: %w; set LOUPE_CACHE to a folder that you can write", err)
	}
	now := time.Now()
	os.Chtimes(dir, now, now) // see trim
	return dir, nil
}

// name is what the program is called, as go run calls it.
func (p Program) name() string {
	if len(p.Files) > 0 {
		return strings.TrimSuffix(filepath.Base(p.Files[0].Path), ".go")
	}
	abs, err := filepath.Abs(p.Dir)
	if err != nil {
		abs = p.Dir
	}
	return filepath.Base(abs)
}

// build has the go command build the program, where it is not there as it would be built.
func (p Program) build(ctx context.Context, dir, binary string) error {
	was, err := whole(binary)
	if err != nil {
		os.Remove(binary) // the go command would take a damaged one for its own
	}
	state := p.state()
	made, readErr := os.ReadFile(filepath.Join(dir, "state"))
	if err == nil && readErr == nil && state != "" && string(made) == state {
		return nil
	}
	// Its temporary files are beside what it builds, for to move a file is possible where to overwrite a running
	// program is not.
	args := []string{"build", "-buildvcs=false", "-o", binary}
	if !strings.Contains(os.Getenv("GOFLAGS"), "-ldflags") {
		args = append(args, "-ldflags=-s -w") // as go run does
	}
	command, err := p.command(ctx, dir, args, nil)
	if err != nil {
		return err
	}
	command.Env = append(command.Env, "GOTMPDIR="+dir)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	err = command.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit):
		p.hint()
		return &BuildError{exit.ExitCode()}
	case err != nil:
		return goMissing(err)
	}
	is, err := os.Stat(binary)
	if err != nil {
		return fmt.Errorf("program: %w", err)
	}
	if was == nil || !os.SameFile(was, is) || !was.ModTime().Equal(is.ModTime()) {
		trim(filepath.Dir(dir))
		if err := note(binary); err != nil {
			return err
		}
	}
	return write(filepath.Join(dir, "state"), []byte(state))
}

// command is one of the go command for the program's files. behind are arguments that come after these.
func (p Program) command(ctx context.Context, dir string, args, behind []string) (*exec.Cmd, error) {
	overlay := map[string]string{}
	var names []string
	for i, f := range p.Files {
		name := f.Path
		if f.Text != nil {
			abs, err := filepath.Abs(name)
			if err != nil {
				return nil, err
			}
			if filepath.Ext(abs) != ".go" {
				abs, name = abs+".go", name+".go"
			}
			text := filepath.Join(dir, "text"+strconv.Itoa(i)+".go")
			if err := write(text, f.Text); err != nil {
				return nil, err
			}
			overlay[abs] = text
		}
		names = append(names, name)
	}
	if len(p.Files) == 0 {
		names = []string{p.Dir}
		if !strings.HasPrefix(p.Dir, ".") && !filepath.IsAbs(p.Dir) {
			names[0] = "." + string(filepath.Separator) + p.Dir // and not a package's import path
		}
	}
	if p.Tags != "" {
		args = append(args, "-tags="+p.Tags)
	}
	if len(overlay) > 0 {
		data, err := json.Marshal(map[string]any{"Replace": overlay})
		if err == nil {
			err = write(filepath.Join(dir, "overlay.json"), data)
		}
		if err != nil {
			return nil, err
		}
		args = append(args, "-overlay="+filepath.Join(dir, "overlay.json"))
	}
	in, env, err := p.module(dir)
	if err != nil {
		return nil, err
	}
	if in != "" { // the names have been as seen from here
		for i, name := range names {
			if names[i], err = filepath.Abs(name); err != nil {
				return nil, err
			}
		}
	}
	command := exec.CommandContext(ctx, "go", append(append(args, names...), behind...)...)
	command.Dir = in
	command.Env = append(os.Environ(), env...)
	return command, nil
}

// module says in which folder the go command is to run, "" for the current one, and with what in its environment: in
// the module that the files lie in; in that of the current folder, as go run, where they lie in none; and where there
// is none either, with what loupe was built from.
func (p Program) module(dir string) (in string, env []string, err error) {
	here, err := os.Getwd()
	if err != nil {
		return "", nil, fmt.Errorf("program: %w", err)
	}
	at, err := filepath.Abs(p.where())
	if err != nil {
		return "", nil, err
	}
	if root := moduleOf(at); root != "" {
		if within(here, root) {
			return "", nil, nil
		}
		return at, nil, nil
	}
	if moduleOf(here) != "" || os.Getenv("GOWORK") != "" || !p.importsModules() {
		return "", nil, nil
	}
	ours, err := source.Dir()
	if err != nil {
		return "", nil, nil // the go command tells which package it does not find
	}
	if ours, err = filepath.Abs(ours); err != nil {
		return "", nil, err
	}
	work := filepath.Join(dir, "go.work")
	text := fmt.Sprintf("go %s\n\nuse %s\n", strings.TrimPrefix(runtime.Version(), "go"), strconv.Quote(ours))
	return "", append(goflags.InWorkspace(), "GOWORK="+work), write(work, []byte(text))
}

// where is the folder of the program's files.
func (p Program) where() string {
	if len(p.Files) == 0 {
		return p.Dir
	}
	return filepath.Dir(p.Files[0].Path)
}

// moduleOf returns the folder of the module, or of the workspace, that a folder lies in; "" where it lies in none.
func moduleOf(dir string) string {
	for {
		for _, name := range []string{"go.mod", "go.work"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				return dir
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// importsModules reports whether the program imports something that is not of the standard library.
func (p Program) importsModules() bool {
	return slices.ContainsFunc(p.Files, func(f File) bool {
		var text any
		if f.Text != nil {
			text = f.Text
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Path, text, parser.ImportsOnly)
		if err != nil {
			return false
		}
		for _, spec := range file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				return true
			}
		}
		return false
	})
}

// hint tells what the go command's message may not: what loupe does besides.
func (p Program) hint() {
	at, err := filepath.Abs(p.where())
	if err != nil || len(p.Files) == 0 {
		return
	}
	if moduleOf(at) == "" && p.importsModules() {
		fmt.Fprintln(os.Stderr, "loupe: a file that lies in no module can import what loupe was built with; for others, "+
			"`go mod init NAME` makes its folder a module, and `go get` gets them")
		return
	}
	pkg, err := build.ImportDir(at, 0)
	if err != nil {
		return
	}
	var others []string
	for _, name := range append(pkg.GoFiles, pkg.CgoFiles...) {
		if !slices.ContainsFunc(p.Files, func(f File) bool { return filepath.Base(f.Path) == name }) {
			others = append(others, name)
		}
	}
	if len(others) > 0 && pkg.Name == "main" && moduleOf(at) != "" {
		where := p.where()
		if !filepath.IsAbs(where) && !strings.HasPrefix(where, ".") {
			where = "." + string(filepath.Separator) + where // what is a folder's name only could be a command's
		}
		fmt.Fprintf(os.Stderr, "loupe: the package has other files, such as %s: `loupe %s` runs it with all of them\n",
			others[0], where)
	}
}

// FilesOf returns the files of the package in a folder that lies in no module, where the go command builds files only.
func FilesOf(dir string) ([]File, error) {
	abs, err := filepath.Abs(dir)
	if err != nil || moduleOf(abs) != "" {
		return nil, err
	}
	pkg, err := build.ImportDir(dir, 0)
	if err != nil {
		return nil, fmt.Errorf("%s is no package of Go: %w", dir, err)
	}
	var files []File
	for _, name := range append(pkg.GoFiles, pkg.CgoFiles...) {
		files = append(files, File{Path: filepath.Join(dir, name)})
	}
	return files, nil
}

// sums is where the digest of a program is.
func sums(binary string) string { return filepath.Join(filepath.Dir(binary), "sum") }

// whole returns what the system says of a program that is as it was built. An error says that it is not.
func whole(binary string) (os.FileInfo, error) {
	want, err := os.ReadFile(sums(binary))
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return nil, err
	}
	got, err := wholefile.Digest(binary)
	if err == nil && got != string(want) {
		err = errors.New("its checksum is wrong")
	}
	return info, err
}

// note notes what a program is when it has been built.
func note(binary string) error {
	sum, err := wholefile.Digest(binary)
	if err != nil {
		return fmt.Errorf("program: %w", err)
	}
	return write(sums(binary), []byte(sum))
}

// write writes a file unless it has that content: the go command looks at times too.
func write(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
		return nil
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("program: %w", err)
	}
	return nil
}

// Programs that have not been run for so long are removed, and the oldest where there are more than so many.
const (
	unused = 30 * 24 * time.Hour
	most   = 50
)

// trim removes programs that are not used any more.
func trim(cache string) {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return
	}
	type kept struct {
		path string
		used time.Time
	}
	var all []kept
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() {
			all = append(all, kept{filepath.Join(cache, e.Name()), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b kept) int { return b.used.Compare(a.used) })
	for i, k := range all {
		if i < most && time.Since(k.used) < unused {
			continue
		}
		lock := flock.New(filepath.Join(k.path, "lock"))
		if ok, err := lock.TryLock(); ok && err == nil {
			os.RemoveAll(k.path)
			lock.Unlock()
		}
	}
}

// goMissing words why the go command could not be run.
func goMissing(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("the go command is not in PATH: programs are built by it")
	}
	return fmt.Errorf("program: %w", err)
}
