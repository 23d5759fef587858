package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// A dialogue is a notebook and what it answers. In the files of testdata/dialogues
//
//	### begins one, with its name
//	=> is a cell's value; alone, the cell shows none
//	|> is a line that it prints
//	!> is part of what its failure says
//
// and the lines before these, as far as the reply before, are the cell.
type dialogue struct {
	file, name string
	turns      []turn
}

type turn struct {
	cell    string
	value   string
	printed []string
	failure []string
}

func dialogues(t testing.TB) []dialogue {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "dialogues", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("there are no dialogues", err)
	}
	var out []dialogue
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d *dialogue
		var cell []string
		replied := false
		for _, line := range strings.Split(strings.TrimRight(string(data), "\n"), "\n") {
			if name, ok := strings.CutPrefix(line, "### "); ok {
				out = append(out, dialogue{file: filepath.Base(file), name: name})
				d, cell, replied = &out[len(out)-1], nil, false
				continue
			}
			if d == nil {
				continue // what stands before the first dialogue is about the file
			}
			kind, rest := "", ""
			if len(line) >= 2 && strings.Contains("=>|>!>", line[:2]) && line[1] == '>' {
				kind, rest = line[:2], strings.TrimPrefix(line[2:], " ")
			}
			if kind == "" {
				if replied && strings.TrimSpace(line) == "" {
					continue
				}
				replied = false
				cell = append(cell, line)
				continue
			}
			if !replied {
				d.turns = append(d.turns, turn{cell: strings.Join(cell, "\n")})
				cell, replied = nil, true
			}
			last := &d.turns[len(d.turns)-1]
			switch kind {
			case "=>":
				last.value = rest
			case "|>":
				last.printed = append(last.printed, rest)
			case "!>":
				last.failure = append(last.failure, rest)
			}
		}
		if len(cell) > 0 && strings.TrimSpace(strings.Join(cell, "")) != "" {
			t.Fatalf("%s: the last cell of %q has no reply", file, d.name)
		}
	}
	return out
}

// fewestDialogues is how many there are at least.
const fewestDialogues = 100

func TestDialogues(t *testing.T) {
	t.Parallel()
	all := dialogues(t)
	if len(all) < fewestDialogues {
		t.Errorf("%d dialogues, want %d", len(all), fewestDialogues)
	}
	n := newNotebook(t, t.TempDir())
	for _, engine := range []string{"auto", "go"} {
		t.Run(engine, func(t *testing.T) {
			for _, d := range all {
				t.Run(strings.TrimSuffix(d.file, ".txt")+"/"+d.name, func(t *testing.T) {
					if strings.Contains(d.file, "loupe") {
						testenv.Asset(t, "xla-cpu")
					}
					if engine == "go" && strings.Contains(d.file, "magics") {
						t.Skip("skipped: needs the engine to choose, which it is about")
					}
					n.t, n.count = t, 0
					n.run("%reset\n%engine "+engine, patience)
					n.count = 0
					for _, turn := range d.turns {
						turn.check(t, n.count+1, n.run(turn.cell, patience))
						if t.Failed() {
							return
						}
					}
				})
			}
		})
	}
}

// testTook is how long a test of a cell took, which go's testing prints behind its name. It is another on every
// machine.
var testTook = regexp.MustCompile(`(?m)\(\d+\.\d\ds\)$`)

func (want turn) check(t *testing.T, number int, got reply) {
	t.Helper()
	why := got.why()
	switch {
	case len(want.failure) == 0 && got.failure != nil:
		t.Errorf("cell %d fails:\n%s\nthe cell:\n%s", number, why, want.cell)
		return
	case len(want.failure) > 0 && got.failure == nil:
		t.Errorf("cell %d does not fail, want %q\nthe cell:\n%s", number, want.failure, want.cell)
		return
	}
	for _, part := range want.failure {
		if !strings.Contains(why, part) {
			t.Errorf("cell %d fails with\n%s\nwant %q in it\nthe cell:\n%s", number, why, part, want.cell)
		}
	}
	if got.value != want.value {
		t.Errorf("cell %d gives %q, want %q\nthe cell:\n%s", number, got.value, want.value, want.cell)
	}
	printed := testTook.ReplaceAllString(strings.TrimRight(got.stdout, "\n"), "(0.00s)")
	if printed != strings.Join(want.printed, "\n") {
		t.Errorf("cell %d prints %q, want %q\nthe cell:\n%s", number, printed, strings.Join(want.printed, "\n"), want.cell)
	}
}
