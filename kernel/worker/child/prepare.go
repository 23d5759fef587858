package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/traefik/yaegi/interp"

	"github.com/loupeml/loupe/kernel/toolchain"
	"github.com/loupeml/loupe/lib/assets"
)

// Source returns the folder of the module that this program was built from, where compiled cells find what they import.
func Source() (string, error) {
	dir := os.Getenv("LOUPE_SOURCE")
	if dir == "" {
		_, file, _, _ := runtime.Caller(0)
		dir = filepath.Join(filepath.Dir(file), "..", "..", "..")
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return "", fmt.Errorf("worker: loupe's sources, which compiled cells need, are not in %s: set LOUPE_SOURCE to where they are", dir)
	}
	return dir, nil
}

// prepare returns the toolchain for compiled cells.
func prepare(symbols []interp.Exports) (*toolchain.Toolchain, error) {
	source, err := Source()
	if err != nil {
		return nil, err
	}
	base, err := assets.Dir()
	if err != nil {
		return nil, err
	}
	tools, err := toolchain.New(toolchain.Options{Dir: source, Cache: filepath.Join(base, "cells"), Roots: roots(symbols)})
	if errors.Is(err, toolchain.ErrNotPrepared) {
		err = tools.Prepare(context.Background(), func(string) {})
	}
	return tools, err
}

// roots returns the packages outside the standard library that cells can import.
func roots(symbols []interp.Exports) []string {
	out := []string{"github.com/loupeml/loupe/kernel/cell/..."}
	for _, tables := range symbols {
		for key := range tables {
			if p := path.Dir(key); strings.Contains(strings.Split(p, "/")[0], ".") && !strings.HasPrefix(p, "github.com/traefik/") {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
	return out
}
