package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	linked  = regexp.MustCompile(`\]\(\.\./(notebooks/[^)]+)\)`)
	folders = regexp.MustCompile("`(lib/[^`]+)`")
	tests   = regexp.MustCompile("`(Test[^`]+)`")
)

// Every paper has its row in docs/papers.md, and what a row names is there.
func TestPapers(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "(docs/papers.md)") {
		t.Error("the README does not link to docs/papers.md")
	}
	page, err := os.ReadFile("docs/papers.md")
	if err != nil {
		t.Fatal(err)
	}
	// A test may stand in another package than the row's, where its method is shared.
	known, err := testsBelow("lib")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		number, err := strconv.Atoi(strings.TrimSpace(cells[0]))
		if err != nil {
			continue
		}
		rows++
		if number != rows || len(cells) != 6 {
			t.Errorf("row %d is of paper %d and has %d cells, want 6", rows, number, len(cells))
			continue
		}
		for what, found := range map[string][][]string{
			"notebook": linked.FindAllStringSubmatch(cells[2], -1), "package": folders.FindAllStringSubmatch(cells[3], -1),
			"test": tests.FindAllStringSubmatch(cells[4], -1),
		} {
			if len(found) == 0 {
				t.Errorf("paper %d has no %s", number, what)
			}
			for _, name := range found {
				there := known[name[1]]
				switch what {
				case "notebook":
					_, err := os.Stat(name[1])
					there = err == nil && strings.HasPrefix(filepath.Base(name[1]), strings.TrimPrefix(cells[2], " [")[:2])
				case "package":
					sources, err := filepath.Glob(filepath.Join(name[1], "*.go"))
					there = err == nil && len(sources) > 0
				}
				if !there {
					t.Errorf("paper %d: there is no %s %s", number, what, name[1])
				}
			}
		}
	}
	if rows != 20 {
		t.Errorf("%d papers, want 20", rows)
	}
}

// testsBelow returns the names of the tests in a folder and those below it.
func testsBelow(folder string) (map[string]bool, error) {
	named := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	names := map[string]bool{}
	return names, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range named.FindAllStringSubmatch(string(source), -1) {
			names[m[1]] = true
		}
		return err
	})
}
