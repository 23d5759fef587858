// Package notebooktest executes notebooks for tests, as a person's Jupyter would.
package notebooktest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// Cell is what a code cell has shown.
type Cell struct {
	Source string
	Count  int
	Errors []string
	MIME   []string
	Text   string
}

// Execute runs a notebook by Jupyter's own client on the kernel as it is now, and leaves the file as it is. Each cell
// that fails fails the test. Others run beside it, because none has work for all processors all the time. The kernel's
// folder is that of the test.
func Execute(t *testing.T, file string) []Cell {
	t.Helper()
	t.Parallel()
	python := testenv.Python(t, "nbclient", "nbformat", "jupyter_client")
	dir := t.TempDir()
	spec, err := json.Marshal(map[string]any{
		"argv":         []string{filepath.Join(testenv.Binaries(t), "loupe"), "kernel", "-f", "{connection_file}"},
		"display_name": "Go (loupe)", "language": "go", "interrupt_mode": "message",
	})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "kernels", "loupe")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "kernel.json"), spec, 0o666); err != nil {
		t.Fatal(err)
	}
	script := testenv.Script(t, testenv.Root(), "internal", "notebooktest", "execute.py")
	run := exec.Command(python, script, file, "loupe")
	run.Env = append(os.Environ(), "JUPYTER_PATH="+dir, "JUPYTER_RUNTIME_DIR="+dir, "LOUPE_TESTDATA="+
		testenv.SharedFolder())
	run.Stderr = os.Stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var cells []Cell
	if err := json.Unmarshal(out, &cells); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, c := range cells {
		for _, e := range c.Errors {
			t.Errorf("cell %d fails:\n%s\n%s", c.Count, c.Source, e)
		}
	}
	return cells
}

// Text is all that cells print and show as text.
func Text(cells []Cell) string {
	var all strings.Builder
	for _, c := range cells {
		all.WriteString(c.Text + "\n")
	}
	return all.String()
}
