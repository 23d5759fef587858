package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Main runs the tests of a package whose tests call [Binaries], and clears up behind them:
//
//	func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
func Main(m *testing.M) int {
	os.Setenv("LOUPE_HISTORY", "off") // the tests' cells are none of the person's
	defer func() {
		if binaries != "" {
			os.RemoveAll(binaries)
		}
	}()
	return m.Run()
}

var (
	building sync.Mutex // guards binaries
	binaries string     // the folder, once built
)

// Binaries returns a folder with loupe and loupe-worker, built from the sources as they are
// now, once a test process. The package's TestMain is [Main].
func Binaries(t testing.TB) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	if binaries != "" {
		return binaries
	}
	dir, err := os.MkdirTemp("", "loupe-test-")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", dir+string(filepath.Separator), ".", "./kernel/worker/loupe-worker")
	build.Dir = Root()
	if out, err := build.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		t.Fatalf("go build: %v\n%s", err, out)
	}
	binaries = dir
	return binaries
}
