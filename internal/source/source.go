// Package source finds the module that this program was built from.
package source

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Dir returns the folder of the module, where compiled cells and those of GoNB find what they import.
func Dir() (string, error) {
	dir := os.Getenv("LOUPE_SOURCE")
	if dir == "" {
		_, file, _, _ := runtime.Caller(0)
		dir = filepath.Join(filepath.Dir(file), "..", "..")
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return "", fmt.Errorf("loupe's sources, which compiled cells need, are not in %s: set LOUPE_SOURCE to where they are",
			dir)
	}
	return dir, nil
}
