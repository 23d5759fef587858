package testenv

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Module makes a folder a module of its own that has loupe's library and all that it was built with.
func Module(t testing.TB, dir string) {
	t.Helper()
	DependOnSources(t, "./lib/...")
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(Root(), name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "go.mod" {
			text = bytes.Replace(text, []byte("module github.com/loupeml/loupe"), []byte("module converted"), 1)
			text = fmt.Appendf(text, "\nrequire github.com/loupeml/loupe v0.0.0\n\nreplace github.com/loupeml/loupe => %s\n",
				Root())
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
