package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/traefik/yaegi/interp"

	"github.com/loupeml/loupe/internal/source"
	"github.com/loupeml/loupe/kernel/toolchain"
	"github.com/loupeml/loupe/lib/assets"
)

// preload is what the check of a cell shall not have to read first.
var preload = []string{
	"fmt", "strings", "strconv", "sort", "slices", "maps", "math", "errors", "time", "os", "io", "sync", "context",
	"bytes", "bufio",
	"github.com/loupeml/loupe/lib", "github.com/gomlx/gomlx/core/graph", "github.com/gomlx/gomlx/core/tensors",
	"gonum.org/v1/plot",
}

// Prepare finds and compiles what compiled cells need, so that the first one does not wait for it.
func Prepare(symbols []interp.Exports) error {
	_, err := prepare(symbols, func(line string) { fmt.Fprintln(os.Stderr, line) })
	return err
}

// prepare returns the toolchain for compiled cells.
func prepare(symbols []interp.Exports, log func(string)) (*toolchain.Toolchain, error) {
	dir, err := source.Dir()
	if err != nil {
		return nil, err
	}
	base, err := assets.Dir()
	if err != nil {
		return nil, err
	}
	tools, err := toolchain.New(toolchain.Options{Dir: dir, Cache: filepath.Join(base, "cells"), Roots: roots(symbols)})
	if errors.Is(err, toolchain.ErrNotPrepared) {
		err = tools.Prepare(context.Background(), log)
	}
	return tools, err
}

// roots returns the packages outside the standard library that cells can import.
func roots(symbols []interp.Exports) []string {
	out := []string{"github.com/loupeml/loupe/kernel/cell/..."}
	for _, tables := range symbols {
		for key := range tables {
			if p := path.Dir(key); strings.Contains(strings.Split(p, "/")[0], ".") &&
				!strings.HasPrefix(p, "github.com/traefik/") {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
	return out
}

// linked returns the paths of the modules that this program is made of.
func linked() map[string]bool {
	out := map[string]bool{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			out[m.Path] = true
		}
	}
	return out
}
