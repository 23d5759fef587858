package testenv

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gofrs/flock"

	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/lib/assets"
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
	binaries string     // the folder, once there is one
)

const module = "github.com/loupeml/loupe"

// Binaries returns a folder with loupe and loupe-worker, built from the sources as they are now, and with the programs
// of other packages that are named. Each is built once a test process, and linked only where no test process before it
// has linked the same. The test depends on their sources. The package's TestMain is [Main].
func Binaries(t testing.TB, others ...string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	var missing []string
	for _, pkg := range append([]string{module, module + "/kernel/worker/loupe-worker"}, others...) {
		if _, err := os.Stat(filepath.Join(binaries, path.Base(pkg))); binaries == "" || err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) > 0 {
		dependOnMachine()
		DependOnSources(t, missing...)
		if err := build(missing); err != nil {
			t.Fatal(err)
		}
	}
	return binaries
}

// build builds programs into a folder of the cache that all tests of this checkout share, where the go command sees
// what need not be linked again. The folder of this process gets them as hard links: there they stay as they are when
// another process builds changed sources.
func build(packages []string) error {
	cache, err := assets.Dir()
	if err != nil {
		return err
	}
	shared := filepath.Join(cache, "test-programs", fmt.Sprintf("%.6x", sha256.Sum256([]byte(Root()))))
	if err := os.MkdirAll(shared, 0o755); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(shared, "lock"))
	if err := lock.Lock(); err != nil {
		return err
	}
	defer lock.Unlock()
	command := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", shared + string(filepath.Separator)},
		packages...)...)
	command.Dir = Root()
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if binaries == "" {
		scratch.CleanIn(shared, "run-")
		if binaries, err = os.MkdirTemp(shared, scratch.Name("run-")); err != nil {
			return err
		}
	}
	for _, pkg := range packages {
		if err := os.Link(filepath.Join(shared, path.Base(pkg)), filepath.Join(binaries, path.Base(pkg))); err != nil {
			return err
		}
	}
	return nil
}
