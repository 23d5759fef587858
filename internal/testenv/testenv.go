// Package testenv finds the real data that tests use and skips, saying what is
// missing and how to get it, where it is not there.
package testenv

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/loupeml/loupe/lib/assets"
)

// Root returns the module's root folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// SharedFolder returns where the shared test data is, if it is there: LOUPE_TESTDATA, or ../shared/data beside the
// checkout.
func SharedFolder() string {
	if folder := os.Getenv("LOUPE_TESTDATA"); folder != "" {
		return folder
	}
	return filepath.Join(Root(), "..", "shared", "data")
}

// SharedData returns the path of a folder or file of the shared test data. The test is skipped where it is missing.
func SharedData(t testing.TB, name ...string) string {
	t.Helper()
	dependOnMachine()
	path := filepath.Join(append([]string{SharedFolder()}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("skipped: needs %s (set LOUPE_TESTDATA to the folder that has it)", filepath.Join(name...))
	}
	return path
}

// Asset returns the folder of an asset of lib/assets, and skips where it has not been fetched.
func Asset(t testing.TB, name string) string {
	t.Helper()
	dependOnMachine()
	dir, err := assets.Path(name)
	if err != nil {
		t.Skipf("skipped: needs %s (loupe fetch %s)", name, name)
	}
	return dir
}
