package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loupeml/loupe/internal/cli/program"
	"github.com/loupeml/loupe/kernel/repl"
	"github.com/loupeml/loupe/kernel/script"
	"github.com/loupeml/loupe/lib/assets"
)

// A file is run in one of two ways. One that go run would take is a program: it is built and run as go run does. Any
// other is a file of cells. The same holds of what comes through the standard input.

// runFile runs the files that a command line begins with.
func runFile(ctx context.Context, args []string, tags string) error {
	first, err := script.Read(args[0])
	if err != nil {
		return err
	}
	if !script.IsProgram(first) {
		return runCells(ctx, "", []string{repl.Arguments(args)}, script.Cells(first))
	}
	p := program.Program{Tags: tags}
	for len(args) > 0 && (len(p.Files) == 0 || strings.HasSuffix(args[0], ".go")) {
		if strings.HasSuffix(args[0], "_test.go") {
			return fmt.Errorf("%s has tests and is no program: `loupe test %s` runs them", args[0], args[0])
		}
		f, err := programFile(args[0])
		if err != nil {
			return err
		}
		p.Files = append(p.Files, f)
		args = args[1:]
	}
	return become(ctx, p, args)
}

// runFolder runs the program in a folder.
func runFolder(ctx context.Context, dir string, args []string, tags string) error {
	files, err := program.FilesOf(dir)
	if err != nil {
		return err
	}
	return become(ctx, program.Program{Files: files, Dir: dir, Tags: tags}, args)
}

// runText runs what has come through the standard input. At its end a program reads nothing more.
func runText(ctx context.Context, text []byte, args []string, tags string) error {
	source, err := script.Text("the standard input", text)
	if err != nil {
		return err
	}
	if !script.IsProgram(source) {
		return runCells(ctx, "", []string{repl.Arguments(append([]string{"-"}, args...))}, script.Cells(source))
	}
	if text, _, err = goText("stdin.go", text); err != nil {
		return err
	}
	return become(ctx, program.Program{Files: []program.File{{Path: "stdin.go", Text: text}}, Tags: tags}, args)
}

// become runs a program in place of this process.
func become(ctx context.Context, p program.Program, args []string) error {
	cache, err := builtPrograms()
	if err != nil {
		return err
	}
	p.Cache = cache
	err = p.Run(ctx, args)
	var build *program.BuildError
	switch {
	case errors.As(err, &build):
		return exitStatus(build.Status)
	case ctx.Err() != nil:
		return exitStatus(repl.Interrupted)
	}
	return err
}

// builtPrograms is the folder in which programs that were built are kept.
func builtPrograms() (string, error) {
	base, err := assets.Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "built"), nil
}

// programFile is a file as the compiler is to read it.
func programFile(path string) (program.File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return program.File{}, err
	}
	text, changed, err := goText(path, data)
	if err != nil || !changed {
		return program.File{Path: path}, err
	}
	return program.File{Path: path, Text: text}, nil
}

// goText is a file's text without what the compiler does not take: a first line that names the interpreter. A comment
// by which the lines are the file's own takes its place.
func goText(path string, data []byte) (text []byte, changed bool, err error) {
	plain := bytes.TrimPrefix(data, []byte("\ufeff"))
	if !bytes.HasPrefix(plain, []byte("#!")) {
		return data, false, nil
	}
	_, rest, _ := bytes.Cut(plain, []byte("\n"))
	abs, err := filepath.Abs(path)
	return fmt.Appendf(nil, "//line %s:2\n%s", abs, rest), true, err
}

func testCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test [FLAGS] [FILES | FOLDERS]", Short: "Run the tests and benchmarks of files of Go, as go test does",
		Long: `Run the tests, benchmarks and examples of files of Go as go test does, with its flags and its exit status.

Files that lie in no module can import what loupe was built with. Tests need not be in a file whose name ends in
_test.go: loupe test FILE.go runs those that the file has. Tests in cells are run by %test.`,
		Example:            "  loupe test median_test.go\n  loupe test -bench . -run '^$' median.go median_test.go",
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && (args[0] == "-h" || args[0] == "--help") {
				return c.Help()
			}
			cache, err := builtPrograms()
			if err != nil {
				return err
			}
			return program.Test(c.Context(), cache, args, testFile)
		},
	}
}

var testFunction = regexp.MustCompile(`(?m)^func (Test|Benchmark|Example|Fuzz)\w*\(`)

// testFile is a file as go test is to read it.
func testFile(path string) (program.File, error) {
	f, err := programFile(path)
	if err != nil || strings.HasSuffix(path, "_test.go") {
		return f, err
	}
	text := f.Text
	if text == nil {
		if text, err = os.ReadFile(path); err != nil {
			return f, err
		}
	}
	if testFunction.Match(text) {
		f = program.File{Path: strings.TrimSuffix(path, ".go") + "_test.go", Text: text}
	}
	return f, nil
}

// isScript reports whether a file that is not named as one of Go names loupe as its interpreter.
func isScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	begin := make([]byte, 2)
	_, err = io.ReadFull(f, begin)
	return err == nil && string(begin) == "#!"
}

// isFolder tells the path of a folder from other words.
func isFolder(arg string) bool {
	if !strings.ContainsRune(arg, filepath.Separator) && arg != "." && arg != ".." {
		return false
	}
	info, err := os.Stat(arg)
	return err == nil && info.IsDir()
}
