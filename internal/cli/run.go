package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/loupeml/loupe/internal/cli/kernelspec"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/notebook"
	"github.com/loupeml/loupe/kernel/session"
)

func runCommand() *cobra.Command {
	var (
		out, html, pictures string
		timeout             time.Duration
		allowErrors         bool
		noRun, untrusted    bool
		values, strs        []string
	)
	c := &cobra.Command{
		Use: "run NOTEBOOK", Short: "Run a notebook from its first cell to its last, without Jupyter",
		Args: cobra.ExactArgs(1),
		Long: `Run a notebook's code cells in order, on the engine that the kernel uses, and write it with what they gave.

It stops at the first cell that fails, unless --allow-errors is given or the cell is tagged raises-exception;
what came until then is written all the same. A cell tagged skip-execution is left as it is.
Cells run in the notebook's folder.

With -p a variable gets another value, as with papermill: a cell that sets it is put behind the one that is tagged
"parameters", or else behind the first that defines it, and stays in what is written.`,
		Example: `  loupe run 00_quickstart.ipynb -o out/00_quickstart.ipynb --html out/00_quickstart.html
  loupe run 01_overinterpretation.ipynb -p seeds=2 -p trainImages=1000 -o quick.ipynb`,
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" && html == "" && pictures == "" {
				return errors.New("nothing would be kept of the run: say with -o, --html or --pictures where to write it (-o " +
					"may be the notebook itself)")
			}
			path := args[0]
			nb, err := notebook.Read(path)
			if err != nil {
				return err
			}
			if language := nb.Language(); language != "" && language != "go" {
				return fmt.Errorf("%s is a notebook for %s and loupe runs Go", path, language)
			}
			if err := setParameters(nb, values, strs, noRun); err != nil {
				return err
			}
			var runErr error
			if !noRun {
				runErr = runNotebook(c.Context(), nb, path, timeout, allowErrors)
			}
			var writeErr error
			if out != "" {
				writeErr = nb.Write(out)
			}
			if html != "" {
				options := notebook.HTMLOptions{Title: nb.Heading(), Dir: filepath.Dir(path), Untrusted: untrusted}
				if options.Title == "" {
					options.Title = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
				}
				writeErr = errors.Join(writeErr, nb.WriteHTML(html, options))
			}
			if pictures != "" {
				_, err := nb.WritePictures(pictures)
				writeErr = errors.Join(writeErr, err)
			}
			var failed *notebook.CellError
			if errors.As(runErr, &failed) && writeErr == nil {
				fmt.Fprintf(os.Stderr, "\n%s\n", strings.Join(failed.Failure.Traceback, "\n"))
				fmt.Fprintf(os.Stderr, "loupe: %s: cell [%d] failed and the cells after it did not run\n", path, failed.Number)
				return alreadySaid{runErr}
			}
			return errors.Join(runErr, writeErr)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "write the notebook with its outputs here")
	c.Flags().StringVar(&html, "html", "", "write it as one HTML file here")
	c.Flags().StringVar(&pictures, "pictures", "", "write the pictures that cells showed into this folder")
	c.Flags().DurationVar(&timeout, "timeout", 0, "interrupt a cell that takes longer, such as 90s; 0 waits for ever. "+
		"One that does not stop is ended half a minute later")
	c.Flags().BoolVar(&noRun, "no-run", false, "run nothing: write what the notebook's cells have shown before")
	c.Flags().BoolVar(&untrusted, "untrusted", false, "for a notebook of somebody else's: an HTML page that runs no "+
		"script and fetches nothing (the cells do run, unless --no-run is given)")
	c.Flags().StringArrayVarP(&values, "parameter", "p", nil,
		"NAME=VALUE: give a variable another value: a number, true, a duration such as 3s, a list such as "+
			"[]int{1,2}; all else is a string")
	c.Flags().StringArrayVarP(&strs, "raw-parameter", "r", nil,
		"NAME=VALUE: the same, and the value is a string whatever it looks like")
	c.Flags().BoolVar(&allowErrors, "allow-errors", false, "go on after a cell that fails")
	return c
}

// setParameters gives the notebook's variables the values of the command line.
func setParameters(nb *notebook.Notebook, values, strs []string, noRun bool) error {
	if noRun && len(values)+len(strs) > 0 {
		return errors.New("a parameter is given, and with --no-run nothing runs that could use it")
	}
	var parameters []notebook.Parameter
	for i, text := range append(slices.Clone(values), strs...) {
		p, err := notebook.ParseParameter(text, i >= len(values))
		if err != nil {
			return err
		}
		parameters = append(parameters, p)
	}
	return nb.Set(parameters...)
}

// runNotebook runs the notebook in its own folder, as Jupyter does, and tells of every cell on standard error.
func runNotebook(ctx context.Context, nb *notebook.Notebook, path string, timeout time.Duration,
	allowErrors bool) error {
	eng, err := startEngine(filepath.Dir(path), "")
	if err != nil {
		return err
	}
	defer eng.Close()
	return nb.Run(ctx, eng, notebook.RunOptions{
		Timeout: timeout, AllowErrors: allowErrors,
		Metadata: map[string]any{
			"kernelspec":    map[string]any{"name": kernelspec.Name, "display_name": kernelspec.DisplayName, "language": "go"},
			"language_info": session.GoLanguage(),
		},
		Ended: func(n, total int, cell *notebook.Cell, failure *engine.Failure, took time.Duration) {
			mark := ""
			if failure != nil {
				mark = "  " + failure.Name
			}
			fmt.Fprintf(os.Stderr, "[%d/%d] %7.2f s  %s%s\n", n, total, took.Seconds(), firstCode(cell.Source), mark)
		},
	})
}

// firstCode is the line that a person knows a cell by.
func firstCode(source string) string {
	const width = 64
	first := ""
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if first == "" {
			first = line
		}
		if line != "" && !strings.HasPrefix(line, "//") {
			first = line
			break
		}
	}
	if r := []rune(first); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return first
}
