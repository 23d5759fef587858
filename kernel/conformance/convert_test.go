package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// fewestConverted is how many dialogues are converted at least.
const fewestConverted = 90

// The dialogues without failures and magics become programs, which compile, pass go vet and print what the cells
// print and show.
func TestDialoguesConverted(t *testing.T) {
	t.Parallel()
	refused := exceptions(t, "convert.txt")
	n := newNotebook(t, t.TempDir())
	dir := t.TempDir()
	testenv.Module(t, dir)
	want := map[string]string{}
	source := map[string]string{}
	differs := map[string]bool{}
	for _, d := range dialogues(t) {
		var cells []string
		var printed strings.Builder
		fits := !strings.Contains(d.file, "loupe") && !strings.Contains(d.file, "magics") && !strings.Contains(d.file, "7_")
		for _, turn := range d.turns {
			fits = fits && len(turn.failure) == 0 && !strings.HasPrefix(turn.cell, "%") && !strings.Contains(turn.cell, "\n%") &&
				!strings.HasPrefix(turn.cell, "!")
			cells = append(cells, turn.cell)
			for _, line := range turn.printed {
				fmt.Fprintln(&printed, line)
			}
			if turn.value != "" {
				fmt.Fprintln(&printed, turn.value)
			}
		}
		if !fits {
			continue
		}
		title := strings.TrimSuffix(d.file, ".txt") + "/" + strings.ReplaceAll(d.name, " ", "_")
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		program, failure, err := n.worker.Convert(ctx, cells)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		reason := refused[title]
		delete(refused, title)
		if failure != nil {
			if reason == "" || !strings.Contains(failure.Message, reason) {
				t.Errorf("%s is refused: %s", title, strings.Join(failure.Traceback, "\n"))
			}
			continue
		}
		if reason != "" && !strings.HasPrefix(reason, "prints") {
			t.Errorf("%s is converted: take it out of testdata/convert.txt", title)
		}
		name := fmt.Sprintf("d%03d", len(want))
		differs[name] = reason != ""
		want[name], source[name] = printed.String(), title+"\n"+program
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "main.go"), []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for title := range refused {
		t.Errorf("testdata/convert.txt names %s, which is not among the dialogues", title)
	}
	for _, args := range [][]string{{"build", "-ldflags=-s -w", "-o", filepath.Join(dir, "bin") + "/", "./..."},
		{"vet", "./..."}} {
		command := exec.Command("go", args...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", args[0], err, out)
		}
	}
	for name, want := range want {
		command := exec.Command(filepath.Join(dir, "bin", name))
		command.Dir = t.TempDir()
		got, err := command.Output()
		if err != nil || (string(got) != want) != differs[name] {
			t.Errorf("%v, it prints\n%s\nwant\n%s\n%s", err, got, want, source[name])
		}
	}
	t.Logf("%d dialogues are programs", len(want))
	if len(want) < fewestConverted {
		t.Errorf("%d dialogues are programs, fewer than %d", len(want), fewestConverted)
	}
}
