package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/loupeml/loupe/internal/version"
	"github.com/loupeml/loupe/kernel/history"
	"github.com/loupeml/loupe/kernel/repl"
	"github.com/loupeml/loupe/kernel/script"
)

func replCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "repl [MODEL] [IMAGES…]", Short: "Type Go at a prompt, with a model and images at hand",
		Long: `Type Go at a prompt: the kernel's engine in a terminal, its variables kept from line to line.

MODEL is the name of a model that loupe fetches, or a file; it becomes m. IMAGES are pictures or folders of pictures; they
become imgs, in the size that the model wants. Tab completes, name? explains, Ctrl-R searches the history, Alt-Enter begins
a line, Ctrl-C stops a running cell and keeps what is defined, Ctrl-D leaves. _ is the last value, and Out[3] what cell 3 gave.`,
		Example: "  loupe repl efficientnet-lite0 cat.jpg\n    loupe.TopK(m, imgs, 5)\n    loupe.Explain(m, imgs, " +
			"attrib.GradCAM{})",
		RunE: func(c *cobra.Command, args []string) error {
			first, err := atHand(args)
			if err != nil {
				return err
			}
			if !term.IsTerminal(int(os.Stdin.Fd())) {
				data, err := io.ReadAll(os.Stdin)
				if err != nil {
					return err
				}
				return runCells(c.Context(), "", first, script.Cells(string(data)))
			}
			past, err := pastCells()
			if err != nil {
				fmt.Fprintln(os.Stderr, "loupe:", err)
			}
			eng, err := startEngine("", "")
			if err != nil {
				return err
			}
			defer eng.Close()
			return repl.Run(context.WithoutCancel(c.Context()), eng, repl.Options{
				Banner:  fmt.Sprintf("loupe %s, %s. Tab completes, name? explains, Ctrl-D leaves.", version.Version, runtime.Version()),
				History: past, First: first,
			})
		},
	}
	shellFlag(c)
	return c
}

// pastCells opens the history that the kernel and the prompt share.
func pastCells() (*history.Store, error) {
	path, err := history.Path()
	if err != nil {
		path = ""
	}
	store, openErr := history.Open(path)
	if err == nil {
		err = openErr
	}
	return store, err
}

// atHand returns the cells that define m and imgs.
func atHand(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, nil
	}
	var pictures []string
	model := args[0]
	if isPicture(model) {
		model = ""
		pictures = args
	} else {
		pictures = args[1:]
	}
	var names []string
	for _, p := range pictures {
		if _, err := os.Stat(p); err != nil {
			return nil, fmt.Errorf("there is no image %s: name pictures, or folders with pictures", p)
		}
		names = append(names, strconv.Quote(p))
	}
	var cells []string
	if model != "" {
		cells = append(cells, fmt.Sprintf("m := loupe.Load(%q)", model))
	}
	if len(names) > 0 {
		of := "nil"
		if model != "" {
			of = "m"
		}
		list := "[]string{" + strings.Join(names, ", ") + "}"
		if len(names) == 1 {
			list = names[0]
		}
		cells = append(cells, fmt.Sprintf("imgs := loupe.Images(%s, %s)", of, list))
	}
	return cells, nil
}

// isPicture tells a picture, or a folder, from the name of a model.
func isPicture(arg string) bool {
	switch strings.ToLower(filepath.Ext(arg)) {
	case ".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff":
		return true
	}
	info, err := os.Stat(arg)
	return err == nil && info.IsDir()
}

// runCells evaluates cells and ends with the status that they ask for.
func runCells(ctx context.Context, dir string, setup, cells []string) error {
	eng, err := startScript(dir)
	if err != nil {
		return err
	}
	defer eng.Close()
	// An interrupt is the cell's. A request to end is for all of it, as it is for a program.
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(end)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() {
		status, err := repl.Script(running, eng, setup, cells)
		if err == nil && status != repl.Good {
			err = exitStatus(status)
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case by := <-end:
		stop() // what the cell says to that is for nobody
		number, _ := by.(syscall.Signal)
		return exitStatus(128 + int(number)) // as a shell tells that a program was ended by a signal
	}
}

// exitStatus is the status with which a script has ended; everything else about it has been said.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// scripts lets the root command run files, a piece of code or what is piped in.
func scripts(root *cobra.Command) {
	var code, tags string
	root.Flags().StringVarP(&code, "execute", "e", "", "evaluate this code and print its value")
	root.Flags().StringVar(&tags, "tags", "",
		"build tags for a program, parted by commas; go build's other flags are read from GOFLAGS")
	root.Flags().SetInterspersed(false) // what stands behind FILE.go is the program's
	root.Use = "loupe [FILE.go… | FOLDER | -] [ARGUMENTS…]"
	root.Long = `A Jupyter kernel for Go, for finding out why an image classifier will fail.

loupe FILE.go runs a program as go run does, or a file of cells that lines with // %% part. loupe . runs the program in a
folder, loupe - what comes through the standard input. A file whose first line is #!/usr/bin/env loupe need not be named
as one of Go.`
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case c.Flags().Changed("execute"):
			return runCells(c.Context(), "", []string{repl.Arguments(append([]string{"loupe"}, args...))}, []string{code})
		case len(args) > 0 && args[0] == "-":
			text, err := io.ReadAll(os.Stdin)
			if err != nil {
				return err
			}
			return runText(c.Context(), text, args[1:], tags)
		case len(args) > 0 && isFolder(args[0]):
			return runFolder(c.Context(), args[0], args[1:], tags)
		case len(args) > 0 && (strings.HasSuffix(args[0], ".go") || isScript(args[0])):
			return runFile(c.Context(), args, tags)
		case len(args) > 0:
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				return usageError{fmt.Errorf("there is no command %s; `loupe ./%[1]s` runs the program in that folder", args[0])}
			}
			return usageError{fmt.Errorf("there is no command %s: loupe --help lists them, and loupe FILE.go runs a file",
				args[0])}
		case !term.IsTerminal(int(os.Stdin.Fd())) && piped():
			text, err := io.ReadAll(os.Stdin)
			if err != nil {
				return err
			}
			return runText(c.Context(), text, nil, tags)
		}
		return c.Help()
	}
}

// piped reports whether something comes through the standard input: a pipe or a file, not /dev/null.
func piped() bool {
	info, err := os.Stdin.Stat()
	return err == nil && (info.Mode()&os.ModeNamedPipe != 0 || info.Mode().IsRegular() || info.Mode()&os.ModeSocket != 0)
}

// usageError is a command line that means nothing.
type usageError struct{ error }
