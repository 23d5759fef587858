package program

import (
	"context"
	"fmt"
	"go/build"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
)

// Test has go test run in place of this process. args are its arguments. Files among them may lie in no module, and
// their tests need not be in files whose names end in _test.go. read reads a file as [File] wants its text.
func Test(ctx context.Context, cache string, args []string, read func(path string) (File, error)) error {
	p := Program{Cache: cache}
	all := operands(args)
	if here, err := filepath.Abs("."); len(all) == 0 && err == nil && moduleOf(here) == "" && holdsTests(here) {
		args = append([]string{"."}, args...)
		all = []int{0}
	}
	first := slices.IndexFunc(all, func(i int) bool { return isFile(args[i]) })
	if first < 0 {
		command := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...)
		command.Env = os.Environ()
		return replaceBy(command)
	}
	first = all[first]
	last := first
	for last < len(args) && isFile(args[last]) {
		files := []string{args[last]}
		if !strings.HasSuffix(args[last], ".go") { // a folder
			pkg, err := build.ImportDir(args[last], 0)
			if err != nil {
				return fmt.Errorf("%s is no package of Go: %w", args[last], err)
			}
			files = nil
			for _, name := range slices.Concat(pkg.GoFiles, pkg.CgoFiles, pkg.TestGoFiles, pkg.XTestGoFiles) {
				files = append(files, filepath.Join(args[last], name))
			}
		}
		for _, path := range files {
			f, err := read(path)
			if err != nil {
				return err
			}
			p.Files = append(p.Files, f)
		}
		last++
	}
	dir, err := p.folder()
	if err != nil {
		return err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("program: %w", err)
	}
	defer lock.Unlock()
	command, err := p.command(ctx, dir, append([]string{"test"}, args[:first]...), args[last:])
	if err != nil {
		return err
	}
	return replaceBy(command)
}

// replaceBy runs a command in place of this process.
func replaceBy(command *exec.Cmd) error {
	if command.Err != nil {
		return goMissing(command.Err)
	}
	if command.Dir != "" {
		if err := os.Chdir(command.Dir); err != nil {
			return fmt.Errorf("program: %w", err)
		}
	}
	return goMissing(syscall.Exec(command.Path, command.Args, command.Env))
}

// switches are the flags of go test that take no value from the argument behind them. `go help testflag` and `go help
// build` list all.
var switches = map[string]bool{
	"a": true, "artifacts": true, "asan": true, "benchmem": true, "buildvcs": true, "c": true, "cover": true,
	"failfast": true,
	"fullpath": true, "i": true, "json": true, "linkshared": true, "modcacherw": true, "msan": true, "n": true,
	"race":  true,
	"short": true, "trimpath": true, "v": true, "work": true, "x": true,
}

// operands are the places of those arguments of go test that are neither flags nor values of flags.
func operands(args []string) []int {
	var all []int
	for i := 0; i < len(args); i++ {
		flag, ok := strings.CutPrefix(args[i], "-")
		if !ok {
			all = append(all, i)
			continue
		}
		flag = strings.TrimPrefix(strings.TrimPrefix(flag, "-"), "test.")
		if flag == "args" { // the rest is the tests' own
			break
		}
		if !switches[flag] && !strings.Contains(flag, "=") {
			i++
		}
	}
	return all
}

// holdsTests reports whether a folder is a package with tests.
func holdsTests(dir string) bool {
	pkg, err := build.ImportDir(dir, 0)
	return err == nil && len(pkg.TestGoFiles)+len(pkg.XTestGoFiles) > 0
}

// isFile tells a file of Go, or a folder that lies in no module, from the other arguments of go test.
func isFile(arg string) bool {
	if strings.HasPrefix(arg, "-") {
		return false
	}
	if strings.HasSuffix(arg, ".go") {
		return true
	}
	info, err := os.Stat(arg)
	if err != nil || !info.IsDir() {
		return false
	}
	abs, err := filepath.Abs(arg)
	return err == nil && moduleOf(abs) == ""
}
