package conformance

import (
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
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

// fewestPrograms is the share of the 281 programs of Go 1.26 that must pass.
const fewestPrograms = 0.96

// One in three runs without LOUPE_HEAVY=1.
func TestGoPrograms(t *testing.T) {
	t.Parallel()
	files := programs(t)
	excused := exceptions(t, "goroot.txt")
	n := newNotebook(t, goroot(t, "test"))
	passed, all := 0, 0
	for i, file := range files {
		name := strings.TrimPrefix(file, goroot(t, "test")+string(filepath.Separator))
		reason := excused[name]
		delete(excused, name)
		if !testenv.Some(i, 3) {
			continue
		}
		all++
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := os.ReadFile(strings.TrimSuffix(file, ".go") + ".out")
		r := n.run(string(source), patience)
		failed := r.failure != nil && r.failure.Message != "exit status 0"
		good := !failed && r.all == string(want)
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
	t.Logf("%d of %d programs pass", passed, all)
	if float64(passed) < fewestPrograms*float64(all) && len(files) == 281 {
		t.Errorf("%d of %d programs pass, fewer than %g of them", passed, all, fewestPrograms)
	}
	testenv.RestIsHeavy(t, 3)
}
