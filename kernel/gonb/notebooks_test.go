package gonb

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
)

// The notebooks that others have written for GoNB run as they are, by GoNB and in cells of our own. testdata has a file
// for each way, with a line for each cell: whether it goes well here and shows what its author saw, and if not why.
//
//	LOUPE_HEAVY=1 LOUPE_UPDATE=1 go test ./kernel/gonb -run TestNotebooksOfOthers

var notebooks = []struct {
	module, version, sum string
	file                 string
	ours                 bool // only in cells of our own: GoNB tests itself with it
}{
	{module: gonbModule, version: gonbVersion, file: "examples/tutorial.ipynb"},
	{module: "github.com/gomlx/gomlx/examples", version: "v0.28.0", sum: "h1:160O9kEReCo7sin1G4AP9Ko2qV9knUhMWgSMX1OwUGM=",
		file: "tutorial/tutorial.ipynb"},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/bash_script.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/capture.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/errors.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/functions.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/goflags.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/gotest.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/gowork.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/hello.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/init.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/input_boxes.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/script.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/vartuple.ipynb", ours: true},
	{module: gonbModule, version: gonbVersion, file: "examples/tests/writefile.ipynb", ours: true},
}

const (
	gonbModule  = "github.com/janpfeifer/gonb"
	gonbVersion = "v0.11.4"
)

// notebookCell is a cell of a notebook file.
type notebookCell struct {
	Kind    string `json:"cell_type"`
	Source  lines
	Outputs []struct {
		Type string `json:"output_type"`
		Text lines
		Data map[string]lines
	}
}

// lines is text that is stored as a list of lines, or as one.
type lines string

func (l *lines) UnmarshalJSON(text []byte) error {
	var list []string
	if err := json.Unmarshal(text, &list); err == nil {
		*l = lines(strings.Join(list, ""))
		return nil
	}
	var one string
	if err := json.Unmarshal(text, &one); err == nil {
		*l = lines(one)
	}
	return nil // what is no text is not compared
}

// moduleDir returns the folder of a module, downloaded where it has to be.
func moduleDir(t *testing.T, module, version, sum string) string {
	t.Helper()
	// The checksum is this file's, for the database need not know of a module that nobody builds.
	cmd := exec.Command("go", "mod", "download", "-json", module+"@"+version)
	cmd.Dir = t.TempDir()
	if sum == "" {
		cmd.Dir = testenv.Root()
	}
	cmd.Env = append(os.Environ(), "GONOSUMDB="+module, "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	var got struct{ Dir, Sum string }
	if err != nil || json.Unmarshal(out, &got) != nil || got.Dir == "" {
		t.Skipf("skipped: needs the module %s %s: %v %s", module, version, err, out)
	}
	if sum != "" && got.Sum != sum {
		t.Fatalf("%s %s has the checksum %s", module, version, got.Sum)
	}
	return got.Dir
}

func TestNotebooksOfOthers(t *testing.T) {
	for _, n := range notebooks {
		text, err := os.ReadFile(filepath.Join(moduleDir(t, n.module, n.version, n.sum), n.file))
		if err != nil {
			t.Fatal(err)
		}
		var book struct{ Cells []notebookCell }
		if err := json.Unmarshal(text, &book); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(n.file), ".ipynb")
		if name == "tutorial" {
			name = strings.Split(n.module, "/")[2] + "_tutorial"
		}
		if !n.ours {
			t.Run(name, func(t *testing.T) {
				testenv.Heavy(t) // a process for each cell takes two minutes
				runNotebook(t, book.Cells, name, "%engine gonb")
			})
		}
		t.Run(name+" in cells of our own", func(t *testing.T) { runNotebook(t, book.Cells, filepath.Join("ours", name), "") })
	}
}

// runNotebook compares what the cells of a notebook do with its table.
func runNotebook(t *testing.T, book []notebookCell, name, first string) {
	table := filepath.Join("testdata", name+".txt")
	wanted := expectations(t, table)
	t.Setenv("TEST_DIR", t.TempDir()+"/")
	e := both(t)
	if first == "" {
		first = "%env TMPDIR=" + t.TempDir() // where GoNB's package cache keeps values
	}
	good(t, e, first)
	var rows []string
	number := 0
	for _, c := range book {
		if c.Kind != "code" || strings.TrimSpace(string(c.Source)) == "" {
			continue
		}
		number++
		want := wanted[number]
		if strings.HasPrefix(want, "not run") {
			rows = append(rows, fmt.Sprintf("%d\t%s", number, want))
			continue
		}
		start := time.Now()
		page := &page{engine: e}
		r, parts := evalInto(t, e, string(c.Source), page, &page.transcript)
		if v := value(r); v != "" {
			parts = append(parts, "stdout:"+v+"\n")
		}
		out := strings.Join(parts, "|")
		got := "shows what its author saw"
		switch {
		case r.Failure != nil && failedThere(c):
			got = "fails as its author's did"
		case r.Failure != nil:
			got = "fails"
		case !similar(parts, c):
			got = "runs"
		}
		t.Logf("%d: %s in %v; %s", number, got, time.Since(start).Round(time.Millisecond), firstOf(string(c.Source)))
		if kind, why, _ := strings.Cut(want, ":"); kind != got && !strings.Contains(why, "open network") {
			t.Errorf("cell %d %s, and the table says %q\n%s\n--\n%.1500s\n--\n%v", number, got, want, c.Source, out, r.Failure)
		}
		_, why, _ := strings.Cut(want, ":")
		if why != "" {
			why = ":" + why
		}
		rows = append(rows, fmt.Sprintf("%d\t%s%s", number, got, why))
	}
	if os.Getenv("LOUPE_UPDATE") != "" {
		if err := os.WriteFile(table, []byte(strings.Join(rows, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func firstOf(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// expectations reads a table: the number of a cell, a tab, what it does, and after a colon why.
func expectations(t *testing.T, file string) map[int]string {
	t.Helper()
	out := map[int]string{}
	text, err := os.ReadFile(file)
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(text)) {
		var n int
		if number, rest, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			if _, err := fmt.Sscan(number, &n); err == nil {
				out[n] = rest
			}
		}
	}
	return out
}

var (
	varies = regexp.MustCompile(`gonb_[0-9a-f]{8}|0x[0-9a-f]+|-?\d+(\.\d+)?(e[-+]?\d+)?((µs|ns|ms|s)\b)?`)
	erased = regexp.MustCompile(`[^\n]*\r`)
	blanks = regexp.MustCompile(`\s+`)
	colors = regexp.MustCompile("\x1b\\[[0-9;]*[mK]")
)

// failedThere reports whether the author's cell has.
func failedThere(c notebookCell) bool {
	for _, o := range c.Outputs {
		if o.Type == "error" {
			return true
		}
	}
	return false
}

// similar compares what a cell printed with what its author's did, numbers aside, which are times and dates and random
// ones.
func similar(out []string, c notebookCell) bool {
	normal := func(s string) string {
		return blanks.ReplaceAllString(varies.ReplaceAllString(colors.ReplaceAllString(erased.ReplaceAllString(s, ""), ""),
			"#"), " ")
	}
	var printed, theirs strings.Builder
	shown, displays := 0, 0
	for _, part := range out {
		switch kind, text, _ := strings.Cut(part, ":"); {
		case kind == "stdout":
			printed.WriteString(text)
		case strings.HasPrefix(kind, "display(false)"):
			shown++
		}
	}
	for _, o := range c.Outputs {
		switch o.Type {
		case "stream":
			theirs.WriteString(string(o.Text))
		case "display_data", "execute_result":
			displays++
		}
	}
	return normal(strings.TrimSpace(printed.String())) == normal(strings.TrimSpace(theirs.String())) &&
		(shown > 0) == (displays > 0)
}
