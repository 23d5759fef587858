package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/assets"
)

// Python returns a Python interpreter that can import the given modules: the one that
// LOUPE_TEST_PYTHON names, or that of the environment which `./install.sh --test` makes in the
// cache folder. The test is skipped where there is none. Python is only ever a client or an
// oracle of loupe, never a part of it.
func Python(t testing.TB, modules ...string) string {
	t.Helper()
	dependOnMachine()
	python := os.Getenv("LOUPE_TEST_PYTHON")
	if python == "" {
		base, err := assets.Dir()
		if err != nil {
			t.Skipf("skipped: needs a Python with %s: %v", strings.Join(modules, ", "), err)
		}
		python = filepath.Join(base, "test-venv", "bin", "python")
	}
	if out, err := exec.Command(python, "-c", "import "+strings.Join(modules, ", ")).CombinedOutput(); err != nil {
		t.Skipf("skipped: needs a Python with %s (./install.sh --test makes one): %v %s", strings.Join(modules, ", "), err,
			out)
	}
	return python
}
