package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/loupeml/loupe/internal/reporting"
	"github.com/loupeml/loupe/internal/xlaplugin"
	"github.com/loupeml/loupe/kernel/worker"
)

// normalisations are what --normalisation may say.
var normalisations = []string{"imagenet", "half", "none"}

func reportCommand() *cobra.Command {
	var ask reporting.Request
	var failUnder []string
	var schema bool
	c := &cobra.Command{
		Use: "report MODEL DATA", Short: "Make one page of what is sensibly asked first of a network and its images",
		Long: `Ask a network and its images all that is sensibly asked first, within a time, and write one page: what was
found, what matters most first, each with its evidence, its interval and the cell that shows it again; what was
looked for and not found; and what was left out, and why. The page needs no network and no script. Beside it lies the
same as JSON, whose fields --schema describes.

MODEL is the name of a model that loupe fetches, or a file; DATA the name of a dataset, an image, a folder, or an
archive. Labels are not needed. The first Ctrl-C ends it and keeps what is done.

The exit status is 0; 1 if a measure is below its --fail-under, or could not be measured; 2 for a command line that
means nothing; 3 if there is no report, as where an image cannot be read; 130 after Ctrl-C.`,
		Example: "  loupe report efficientnet-lite0 sample-imagenet -o report.html\n" +
			"  loupe report net.onnx photos/ --split val --normalisation imagenet --fail-under accuracy=0.9",
		Args: func(_ *cobra.Command, args []string) error {
			if schema && len(args) == 0 {
				return nil
			}
			if len(args) != 2 {
				return usageError{fmt.Errorf("a report takes a model and data, such as `loupe report efficientnet-lite0 "+
					"photos/`, not %d words", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if schema {
				_, err := fmt.Fprint(c.OutOrStdout(), reporting.Schema)
				return err
			}
			ask.Model, ask.Data = args[0], args[1]
			if err := checkReport(&ask, failUnder); err != nil {
				return usageError{err}
			}
			if folder, err := os.Stat(filepath.Dir(ask.Output)); err != nil || !folder.IsDir() {
				fmt.Fprintf(os.Stderr, "loupe: there is no folder %s to write %s into\n", filepath.Dir(ask.Output), ask.Output)
				return exitStatus(reporting.Failed)
			}
			err := becomeWorker(reporting.Flag, ask)
			fmt.Fprintln(os.Stderr, "loupe:", err)
			return exitStatus(reporting.Failed)
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := c.Flags()
	f.StringVarP(&ask.Output, "output", "o", "report.html", "write the page here, and the JSON beside it")
	f.DurationVar(&ask.Budget, "budget", 5*time.Minute, "how long it may take, such as 90s")
	f.StringArrayVar(&failUnder, "fail-under", nil, "MEASURE=NUMBER: fail if a measure is below, such as "+
		"accuracy=0.9; may be said several times")
	f.Uint64Var(&ask.Seed, "seed", 0, "draws the images where not all can be looked at")
	f.StringVar(&ask.Training, "train", "", "images that the network was trained on, which DATA is compared with: a "+
		"dataset, an image, a folder, or an archive")
	f.StringVar(&ask.Split, "split", "", "the part of the data that is read, such as val")
	f.StringVar(&ask.Labels, "labels", "", "a table of labels: .csv, .tsv, .txt, .json or .jsonl, with a column of "+
		"files and one of classes")
	f.BoolVar(&ask.Partial, "partial", false, "with --labels: allow images without a label, and labels without an image")
	f.BoolVar(&ask.Skip, "skip-damaged", false, "leave damaged images out, where they are an error otherwise")
	f.BoolVar(&schema, "schema", false, "print the JSON Schema of the JSON that is written, and do nothing else")
	f.StringVar(&ask.Normalisation, "normalisation", "", "how pixels are normalised where the file does not say: "+
		strings.Join(normalisations, ", "))
	f.StringVar(&ask.Classes, "classes", "", "a file with the names of the classes, in the order of the network's outputs")
	return c
}

// checkReport returns an error for a command line that means nothing, and takes the thresholds down.
func checkReport(ask *reporting.Request, failUnder []string) error {
	if strings.ToLower(filepath.Ext(ask.Output)) != ".html" {
		return fmt.Errorf("%s is to be a page: give it a name that ends in .html", ask.Output)
	}
	if ask.Budget <= 0 {
		return fmt.Errorf("a budget of %v: it is to be more than 0", ask.Budget)
	}
	if ask.Normalisation != "" && !slices.Contains(normalisations, ask.Normalisation) {
		return fmt.Errorf("--normalisation %s: it is one of %s", ask.Normalisation, strings.Join(normalisations, ", "))
	}
	if ask.Partial && ask.Labels == "" {
		return errors.New("--partial is about --labels, which names no file")
	}
	for _, text := range failUnder {
		name, number, found := strings.Cut(text, "=")
		least, err := strconv.ParseFloat(number, 64)
		if !found || err != nil || least != least {
			return fmt.Errorf("--fail-under %s: it is a measure and a number, such as accuracy=0.9", text)
		}
		if least < 0 || least > 1 {
			return fmt.Errorf("--fail-under %s: measures lie between 0 and 1, such as accuracy=0.9", text)
		}
		ask.Thresholds = append(ask.Thresholds, reporting.Threshold{Measure: name, Least: least})
	}
	return nil
}

// becomeWorker lets loupe-worker take the place of this process, with a request as JSON, so that signals and the exit
// status are its own.
func becomeWorker(flag string, request any) error {
	path, err := worker.Find("")
	if err != nil {
		return err
	}
	written, err := json.Marshal(request)
	if err != nil {
		return err
	}
	return syscall.Exec(path, []string{path, flag, string(written)}, append(os.Environ(), xlaplugin.Environment()...))
}
