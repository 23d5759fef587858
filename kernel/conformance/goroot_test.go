package conformance

import (
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// goroot returns a folder of the Go distribution that this is built with.
func goroot(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(build.Default.GOROOT, dir)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("skipped: needs %s of the Go distribution, which not every package of Go has: %v", dir, err)
	}
	return path
}

// programs returns the files of Go's test folder that are marked to be run without more.
func programs(t testing.TB) []string {
	dir := goroot(t, "test")
	var out []string
	for _, pattern := range []string{"*.go", "typeparam/*.go"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if data, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(data), "// run\n") {
				out = append(out, file)
			}
		}
	}
	return out
}

// fewestPrograms is how many of the 281 programs of Go 1.26 must pass.
const fewestPrograms = 270

func TestGoPrograms(t *testing.T) {
	t.Parallel()
	files := programs(t)
	excused := exceptions(t, "goroot.txt")
	n := newNotebook(t, goroot(t, "test"))
	passed := 0
	for _, file := range files {
		name := strings.TrimPrefix(file, goroot(t, "test")+string(filepath.Separator))
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := os.ReadFile(strings.TrimSuffix(file, ".go") + ".out")
		r := n.run(string(source), patience)
		failed := r.failure != nil && r.failure.Message != "exit status 0"
		good := !failed && r.all == string(want)
		reason := excused[name]
		delete(excused, name)
		switch {
		case good && reason != "":
			t.Errorf("%s passes: take it out of testdata/goroot.txt", name)
		case good:
			passed++
		case reason == "":
			t.Errorf("%s: %s\nprinted %.400q\nwant    %.400q", name, r.why(), r.all, want)
		}
	}
	for name := range excused {
		t.Errorf("testdata/goroot.txt names %s, which is not among the programs", name)
	}
	t.Logf("%d of %d programs pass", passed, len(files))
	if passed < fewestPrograms && len(files) == 281 {
		t.Errorf("%d programs pass, fewer than %d", passed, fewestPrograms)
	}
}
