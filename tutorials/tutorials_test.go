// Package tutorials holds the lessons; its tests do them as a diligent person would, and as one who does nothing.
package tutorials

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/loupeml/loupe/internal/notebooktest"
	"github.com/loupeml/loupe/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// cell is a cell of a lesson, with what it was committed with.
type cell struct {
	Type     string `json:"cell_type"`
	Metadata struct {
		Tags []string `json:"tags"`
	} `json:"metadata"`
	Source  []string `json:"source"`
	Outputs []struct {
		Type string `json:"output_type"`
		Data struct {
			Text []string        `json:"text/plain"`
			PNG  json.RawMessage `json:"image/png"`
			JPEG json.RawMessage `json:"image/jpeg"`
		} `json:"data"`
	} `json:"outputs"`
}

func (c cell) is(tag string) bool { return slices.Contains(c.Metadata.Tags, tag) }
func (c cell) text() string       { return strings.Join(c.Source, "") }

func read(t *testing.T, file string) []cell {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var notebook struct{ Cells []cell }
	if err := json.Unmarshal(source, &notebook); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return notebook.Cells
}

var solution = regexp.MustCompile("(?s)<details><summary>Solution</summary>\n\n```go\n(.*?)\n```\n\n</details>")

// A lesson asks before it shows, has exercises with a folded solution behind each, was committed unsolved, ends with a
// report, and its cells are short enough to be read, those folded away as well.
func TestForm(t *testing.T) {
	const inAll, inCell, bytes = 120, 25, 1_500_000
	for _, file := range lessons(t) {
		if info, err := os.Stat(file); err != nil || info.Size() > bytes {
			t.Errorf("%s has more than %d bytes (%v)", file, bytes, err)
		}
		cells, exercises, guesses, shown, all, pictures := read(t, file), 0, 0, 0, 0, 0
		for i, c := range cells {
			for _, o := range c.Outputs {
				if len(o.Data.PNG)+len(o.Data.JPEG) > 0 {
					pictures++
				}
				if shown++; o.Type == "error" {
					t.Errorf("%s: cell %d was committed with an error", file, i+1)
				}
			}
			if c.Type != "code" {
				continue
			}
			lines := strings.Split(c.text(), "\n")
			all += len(lines)
			if len(lines) > inCell && !c.is("checks") {
				t.Errorf("%s: cell %d has %d lines, at most %d", file, i+1, len(lines), inCell)
			}
			columns := 100
			if c.is("checks") {
				columns = 120
			}
			for _, line := range lines {
				if n := utf8.RuneCountInString(line); n > columns {
					t.Errorf("%s: cell %d has a line of %d columns, at most %d: %s", file, i+1, n, columns, line)
				}
			}
			guesses += strings.Count(c.text(), "lesson.Ask(")
			if !c.is("exercise") {
				continue
			}
			exercises++
			if i+1 == len(cells) || !cells[i+1].is("solution") || !solution.MatchString(cells[i+1].text()) {
				t.Errorf("%s: no folded solution comes after exercise %d", file, exercises)
			}
			if len(c.Outputs) != 1 || !strings.HasPrefix(strings.Join(c.Outputs[0].Data.Text, ""), "○ ") {
				t.Errorf("%s: exercise %d was not committed unsolved", file, exercises)
			}
		}
		if exercises < 3 || guesses < 1 || shown == 0 || pictures == 0 || all > inAll {
			t.Errorf("%s has %d exercises, %d guesses, %d outputs, %d pictures, %d lines of Go (at most %d)", file, exercises,
				guesses, shown, pictures, all, inAll)
		}
		if last := cells[len(cells)-2]; !strings.Contains(last.text(), "loupe.Report(") {
			t.Errorf("%s does not end with a report", file)
		}
	}
}

// With the solutions filled in every check says that the answer is right.
func TestSolutions(t *testing.T) {
	for _, file := range lessons(t) {
		t.Run(strings.TrimSuffix(file, ".ipynb"), func(t *testing.T) {
			for _, asset := range []string{"xla-cpu", "efficientnet-lite0", "imagenet-classes", "foolbox-samples",
				"fashion-mnist", "squeezenet"} {
				testenv.Asset(t, asset)
			}
			exercises := map[string]bool{} // by the solution
			cells := notebooktest.Execute(t, solved(t, file, exercises))
			for _, c := range cells {
				// A progress bar that is gone leaves an empty line.
				if exercises[c.Source] && !strings.HasPrefix(strings.TrimSpace(c.Text), "✓ ") {
					t.Errorf("the solution\n%s\nis told: %s", c.Source, c.Text)
				}
				delete(exercises, c.Source)
			}
			for source := range exercises {
				t.Errorf("this solution did not run:\n%s", source)
			}
			if text := notebooktest.Text(cells); strings.Contains(text, "✗ ") {
				t.Errorf("something is told to be wrong:\n%s", text)
			}
		})
	}
}

func lessons(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.ipynb")
	if err != nil || len(files) != 6 {
		t.Fatalf("lessons: %q, %v", files, err)
	}
	return files
}

// solved writes a copy of a lesson in which the solutions stand in the place of the exercises.
func solved(t *testing.T, file string, exercises map[string]bool) string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var notebook map[string]any
	if err := json.Unmarshal(source, &notebook); err != nil {
		t.Fatal(err)
	}
	cells := read(t, file)
	for i, c := range cells {
		if !c.is("exercise") {
			continue
		}
		found := solution.FindStringSubmatch(cells[i+1].text())
		if found == nil {
			t.Fatalf("cell %d of %s has no solution", i+1, file)
		}
		exercises[found[1]] = true
		notebook["cells"].([]any)[i].(map[string]any)["source"] = found[1]
	}
	changed, err := json.Marshal(notebook)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, changed, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}
