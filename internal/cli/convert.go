package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loupeml/loupe/kernel/notebook"
	"github.com/loupeml/loupe/kernel/script"
	"github.com/loupeml/loupe/kernel/worker"
)

// madeBy begins the programs that convert writes.
const madeBy = "// Made by loupe convert from "

func convertCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "convert NOTEBOOK PROGRAM.go", Short: "Write a notebook as a Go program that does the same without Jupyter",
		Args: cobra.ExactArgs(2),
		Long: `Write a notebook's code cells as one Go program: imports and declarations, then the statements of the cells in main.

A name to which cells give several meanings becomes several names. A call whose error would stop the cell becomes a call
of must. What a cell shows, the program prints; pictures go to the terminal. NOTEBOOK may also be a script with // %%.
What has no place in a program, such as commands of the shell, is an error that names it. Nothing is run.

The program belongs into a module that has the packages which it imports.`,
		Example: "  loupe convert 04_label_errors.ipynb labels/main.go && go run ./labels",
		RunE: func(c *cobra.Command, args []string) error {
			path, out := args[0], args[1]
			if filepath.Ext(out) != ".go" {
				return usageError{fmt.Errorf("%s is to be a Go program: give it a name that ends in .go", out)}
			}
			old, err := os.ReadFile(out)
			if err == nil && !bytes.HasPrefix(old, []byte(madeBy)) && !force {
				return fmt.Errorf("%s is there already, and not made by loupe convert: --force overwrites it", out)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			cells, err := cellsOf(path)
			if err != nil {
				return err
			}
			w, err := worker.New(worker.Options{Dir: filepath.Dir(path)})
			if err != nil {
				return err
			}
			defer w.Close()
			program, failure, err := w.Convert(c.Context(), cells)
			if err != nil {
				return err
			}
			if failure != nil {
				fmt.Fprintln(os.Stderr, strings.Join(failure.Traceback, "\n"))
				fmt.Fprintf(os.Stderr, "loupe: %s is not converted: %s\n", path, failure.Message)
				return alreadySaid{errors.New(failure.Message)}
			}
			return os.WriteFile(out, []byte(madeBy+filepath.Base(path)+".\n\n"+program), 0o644)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "overwrite a file that was not made by loupe convert")
	return c
}

// cellsOf returns the Go cells of a notebook or a script.
func cellsOf(path string) ([]string, error) {
	if filepath.Ext(path) == ".go" {
		source, err := script.Read(path)
		if err != nil {
			return nil, err
		}
		return script.Cells(source), nil
	}
	nb, err := notebook.Read(path)
	if err != nil {
		return nil, err
	}
	if language := nb.Language(); language != "" && language != "go" {
		return nil, fmt.Errorf("%s is a notebook for %s and loupe converts Go", path, language)
	}
	var cells []string
	for _, cell := range nb.Cells {
		switch {
		case cell.Type != notebook.Code || strings.TrimSpace(cell.Source) == "" || cell.Tagged("skip-execution"):
		case cell.Tagged("raises-exception"):
			return nil, fmt.Errorf("a cell of %s is tagged raises-exception: a program ends where it fails, so take out %q",
				path, firstCode(cell.Source))
		default:
			cells = append(cells, cell.Source)
		}
	}
	return cells, nil
}
