package notebooks

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// A notebook is read on one screen and fetched in a moment: no more than 120 lines of Go in all and 25 in a cell, none
// of them wider than 100 columns, a file of at most 1.5 MB, and no error that has to be unwrapped by hand.
func TestForm(t *testing.T) {
	const lines, inCell, columns, bytes = 120, 25, 100, 1_500_000
	files, err := filepath.Glob("*.ipynb")
	if err != nil || len(files) < 21 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var notebook struct {
			Cells []struct {
				Type    string            `json:"cell_type"`
				Source  []string          `json:"source"`
				Outputs []json.RawMessage `json:"outputs"`
			} `json:"cells"`
		}
		if err := json.Unmarshal(source, &notebook); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(source) > bytes {
			t.Errorf("%s has %d bytes, at most %d", file, len(source), bytes)
		}
		all, shown := 0, 0
		for i, c := range notebook.Cells {
			if c.Type != "code" {
				continue
			}
			shown += len(c.Outputs)
			source := strings.Split(strings.Join(c.Source, ""), "\n")
			for _, line := range source {
				if n := utf8.RuneCountInString(line); n > columns {
					t.Errorf("%s: cell %d has a line of %d columns: %s", file, i+1, n, line)
				}
				if strings.Contains(line, "must(") || strings.Contains(line, "panic(") {
					t.Errorf("%s: cell %d unwraps an error by hand: %s", file, i+1, line)
				}
			}
			if all += len(source); len(source) > inCell {
				t.Errorf("%s: cell %d has %d lines, at most %d", file, i+1, len(source), inCell)
			}
		}
		if all > lines {
			t.Errorf("%s has %d lines of Go, at most %d", file, all, lines)
		}
		if shown == 0 {
			t.Errorf("%s is stored without its outputs", file)
		}
	}
}

// Notebooks that train networks say what runs them at the paper's size.
func TestScale(t *testing.T) {
	for _, file := range []string{
		"07_feature_priors", "08_universal_perturbations", "10_task_discovery", "16_background_augmentation",
		"17_private_training",
		"19_part_models", "20_distillation_fidelity",
	} {
		source, err := os.ReadFile(file + ".ipynb")
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`LOUPE_BACKEND=xla:cuda loupe run \S*` + file + `\.ipynb`).Match(source) {
			t.Errorf("%s does not say what runs it at the paper's scale", file)
		}
	}
}
