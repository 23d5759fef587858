package cli_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/kernel/notebook"
)

// plainText is what the cells of a notebook have printed and shown.
func plainText(t *testing.T, path string) string {
	t.Helper()
	nb, err := notebook.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, c := range nb.Cells {
		for _, o := range c.Outputs {
			if o.Type() == "stream" && o["name"] == "stdout" {
				out.WriteString(o["text"].(string))
			} else if text, ok := o.Data()["text/plain"].(string); ok {
				out.WriteString(text + "\n")
			}
		}
	}
	return out.String()
}

// A program prints what the notebook shows, with loupe's values among it.
func TestConvert(t *testing.T) {
	path := write(t,
		"// What there is.\nscores := loupe.Table(\"name\", \"score\")\nscores.Add(\"a\", 0.5) // half\nscores",
		"func half(s string) float64 { return strconv.ParseFloat(s, 64) / 2 }\nscores.Add(\"b\", half(\"0.5\"))\nscores",
		"%engine go\nloupe.Mean([]float64{1, 2})",
		"fmt.Println(len(scores.Rows))\nscores.Rows[0][0], \"text\"",
		"interval := stats.ClopperPearson(3, 10, 0.05)\nfmt.Printf(\"%.3f\\n\", interval.Low)\nmust(os.Stat(\".\")).IsDir()",
	)
	dir := t.TempDir()
	testenv.Module(t, dir)
	program := filepath.Join(dir, "main.go")
	if _, said, status := loupe(t, nil, "convert", path, program); status != 0 {
		t.Fatalf("status %d: %s", status, said)
	}
	source, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	want(t, string(source), "// Made by loupe convert from nb.ipynb.", "// What there is.", "// half",
		"// Cell 3\n\t// %engine go", "must(stats.ClopperPearson(3, 10, 0.05))")
	build := exec.Command("go", "build", "-o", "program", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, source)
	}
	got, err := exec.Command(filepath.Join(dir, "program")).Output()
	if err != nil {
		t.Fatal(err)
	}
	executed := filepath.Join(dir, "executed.ipynb")
	if _, said, status := loupe(t, nil, "run", path, "-o", executed); status != 0 {
		t.Fatal(said)
	}
	if shown := plainText(t, executed); string(got) != shown {
		t.Errorf("the program prints\n%s\nand the notebook shows\n%s\n%s", got, shown, source)
	}
	// It is written again, and a file of one's own is not.
	if _, said, status := loupe(t, nil, "convert", path, program); status != 0 {
		t.Errorf("status %d: %s", status, said)
	}
	if err := os.WriteFile(program, []byte("package mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, said, status := loupe(t, nil, "convert", path, program)
	if status != 1 {
		t.Errorf("status %d", status)
	}
	want(t, said, "is there already")
}

func TestConvertRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		cells  []string
		errors []string
	}{
		{"commands of the shell", []string{"x := 1", "fmt.Println(x)\n!ls -l", "%cd /tmp"},
			[]string{"cell 2, line 2: !ls -l has no place in a program", "cell 3, line 1: %cd /tmp has"}},
		{"what is not Go", []string{"%%bash\nls"}, []string{"cell 1, line 1: %%bash has no place"}},
		{"Go that does not check", []string{"x := 1", "y := x + \"a\""}, []string{"mismatched types", "cell 2, line 1"}},
		{"a program", []string{"package main\nfunc main() {}"}, []string{"a whole program in a cell"}},
		{"other methods of values", []string{"type T struct{}\nfunc (T) N() int { return 1 }\nvar v T",
			"func (T) N() int { return 2 }"}, []string{"cell 2, line 1: T gets other methods"}},
		{"a method that shows", []string{"type T struct{}\nfmt.Println(T{})", "func (T) String() string { return \"T\" }"},
			[]string{"cell 2, line 1: T gets the method String"}},
		{"a type without a name",
			[]string{"v := reflect.ValueOf(reflect.TypeOf(1)).Type()\nw := strings.NewReplacer()\nx := sha256.New()",
				"type local struct{}\nfunc f() int { return g.n }\nvar g = struct{ n int }{1}",
				"type local struct{ n int }\nvar l local\nfunc h() int { return l.n }\nvar k []local\nfunc j() int { return " +
					"len(k) + f() }"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.go")
			_, said, status := loupe(t, nil, "convert", write(t, c.cells...), out)
			if len(c.errors) == 0 {
				if status != 0 {
					t.Errorf("status %d: %s", status, said)
				}
				return
			}
			if status != 1 {
				t.Errorf("status %d: %s", status, said)
			}
			want(t, said, c.errors...)
			if _, err := os.Stat(out); err == nil {
				t.Error("there is a program")
			}
		})
	}
	nb := write(t, "1")
	_, said, status := loupe(t, nil, "convert", nb, "out.txt")
	if status != 2 {
		t.Errorf("status %d", status)
	}
	want(t, said, "ends in .go")
	text, err := os.ReadFile(nb)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	fields["metadata"].(map[string]any)["language_info"] = map[string]any{"name": "python"}
	fields["metadata"].(map[string]any)["kernelspec"] = map[string]any{"name": "python3", "display_name": "Python",
		"language": "python"}
	if text, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(nb, text, 0o644); err != nil {
		t.Fatal(err)
	}
	_, said, _ = loupe(t, nil, "convert", nb, filepath.Join(t.TempDir(), "out.go"))
	want(t, said, "a notebook for python")
}

// Every notebook of loupe becomes a program that compiles.
func TestConvertNotebooks(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(testenv.Root(), "notebooks", "*.ipynb"))
	if err != nil || len(paths) < 14 {
		t.Fatalf("%d notebooks %v", len(paths), err)
	}
	dir := t.TempDir()
	testenv.Module(t, dir)
	for _, path := range paths {
		folder := filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), ".ipynb"))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, said, status := loupe(t, nil, "convert", path, filepath.Join(folder, "main.go")); status != 0 {
			t.Errorf("%s: status %d: %s", path, status, said)
		}
	}
	build := exec.Command("go", "list", "-export", "./...") // which compiles, and links nothing, as go build would
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
