package worker

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
)

// The README's questions are cells that answer something.
func TestOneLineAQuestion(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(testenv.Root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "## One line a question\n")
	_, code, opened := strings.Cut(section, "```go\n")
	code, _, closed := strings.Cut(code, "```")
	if !found || !opened || !closed {
		t.Fatal("the README has no code under One line a question")
	}
	w := newWorker(t)
	for name, source := range map[string]string{
		"photos": "photos := loupe.Open(`sample-mnist`).Take(20)",
		"net":    "net := loupe.SmallCNN(loupe.Open(`sample-mnist`), 1, 2, 2)",
		"other":  "other := loupe.MLP(loupe.Open(`sample-mnist`), 1)",
	} {
		if r, _ := eval(t, w, source); r.Failure != nil {
			t.Fatalf("%s: %s", name, r.Failure.Message)
		}
	}
	questions := 0
	for line := range strings.Lines(code) {
		source, _, _ := strings.Cut(line, "//")
		r, shown := eval(t, w, source)
		if r.Failure != nil {
			t.Errorf("%s: %s", source, r.Failure.Message)
			continue
		}
		// What is kept in a variable is shown by its name.
		if name, _, defined := strings.Cut(source, ":="); defined {
			r, shown = eval(t, w, name)
		}
		if value(r)+shown == "" {
			t.Errorf("%s shows nothing", source)
		}
		questions++
	}
	if questions != 5 {
		t.Errorf("%d questions, want 5", questions)
	}
}

var rightCell = regexp.MustCompile("^\\|[^|]*\\| `(.*)` \\|$")

// What docs/coming-from.md says to type shows something.
func TestWhatToTypeInstead(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "coming-from.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // a line saves a file
	w := newWorker(t)
	// The page's own first cell, with a small network and pictures that are not of its size.
	_, first, _ := strings.Cut(string(page), "```go\n")
	first, _, _ = strings.Cut(first, "```")
	for from, to := range map[string]string{`loupe.Load("efficientnet-lite0")`: "small",
		`loupe.Open("sample-imagenet")`: "large", "281": "7"} {
		if !strings.Contains(first, from) {
			t.Fatalf("the first cell has no %s:\n%s", from, first)
		}
		first = strings.ReplaceAll(first, from, to)
	}
	for _, source := range []string{
		"digits := loupe.Open(`sample-mnist`)",
		"small := loupe.Train(loupe.SmallCNN(digits, 1, 2, 2), digits, learn.Recipe{Epochs: 6, BatchSize: 10, " +
			"LearningRate: 0.01})",
		"large := digits.Map(data.Resize(40, 40))",
		first,
		"import \"github.com/loupeml/loupe/lib/attrib/lrp\"",
		"import \"github.com/loupeml/loupe/lib/attrib/faithful\"",
	} {
		if r, _ := eval(t, w, source); r.Failure != nil {
			t.Fatalf("%s: %s", source, r.Failure.Message)
		}
	}
	typed := 0
	for line := range strings.Lines(string(page)) {
		cell := rightCell.FindStringSubmatch(strings.TrimSpace(line))
		if cell == nil {
			continue
		}
		start := time.Now()
		if r, shown := eval(t, w, cell[1]); r.Failure != nil {
			t.Errorf("%s: %s", cell[1], r.Failure.Message)
		} else if value(r)+shown == "" && !strings.HasPrefix(cell[1], "loupe.Save(") {
			t.Errorf("%s shows nothing", cell[1])
		}
		t.Log(cell[1], time.Since(start))
		typed++
	}
	if typed < 45 {
		t.Errorf("%d lines were typed", typed)
	}
}
