package toolchain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/internal/wholefile"
)

// Built cells are kept in folders that are named by what they are made of. A folder is made whole or not at all, by
// renaming, and has a file with the digests of the others in it: one that is damaged is built again. They hold what a
// person has written, and are that person's only.

const (
	largest = 4 << 30 // bytes that the cache may have
	check   = 100     // how many cells are built between two looks at its size
)

// entry returns the folder of a unit.
func (t *Toolchain) entry(u Unit, thinly bool) string {
	h := sha256.New()
	fmt.Fprintln(h, "4", identity(), thinly, u.Path, t.config.Go, t.compiler(), os.Getenv("CGO_CFLAGS"),
		os.Getenv("CGO_LDFLAGS"))
	// Go's cache names archives by their content, and a cell's folder is named by its.
	for _, path := range slices.Sorted(slices.Values(u.Imports)) {
		archive, _ := t.archive(path)
		fmt.Fprintln(h, path, archive)
	}
	for _, name := range slices.Sorted(maps.Keys(u.Files)) {
		fmt.Fprintln(h, name, len(u.Files[name]))
		h.Write(u.Files[name])
	}
	return filepath.Join(t.cells(), hex.EncodeToString(h.Sum(nil)[:12]))
}

func (t *Toolchain) cells() string { return filepath.Join(t.cache, "cells") }

// workFolder returns a folder in which a cell is built.
func (t *Toolchain) workFolder() (string, error) {
	if err := os.MkdirAll(t.cells(), 0o700); err != nil {
		return "", fmt.Errorf("toolchain: %w", err)
	}
	os.Chmod(t.cells(), 0o700) // one that earlier versions have made
	work, err := os.MkdirTemp(t.cells(), scratch.Name("work-"))
	if err != nil {
		return "", fmt.Errorf("toolchain: %w; set LOUPE_CACHE to a folder with room", err)
	}
	return work, nil
}

// digests describes the files of an entry.
func digests(dir string) (string, error) {
	var out strings.Builder
	for _, name := range []string{"cell.a", "cell.so"} {
		sum, err := wholefile.Digest(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&out, name, sum)
	}
	return out.String(), nil
}

// whole reports whether a folder has a cell in it, and notes that it is used.
func (t *Toolchain) whole(dir string) bool {
	want, err := os.ReadFile(filepath.Join(dir, "digests"))
	got := ""
	if err == nil {
		got, err = digests(dir)
	}
	if err != nil || got != string(want) {
		os.RemoveAll(dir)
		return false
	}
	now := time.Now()
	os.Chtimes(dir, now, now)
	return true
}

// keep makes an entry of what has been built in the folder work.
func (t *Toolchain) keep(work, dir string) error {
	made, err := os.MkdirTemp(t.cells(), scratch.Name("work-"))
	if err != nil {
		return fmt.Errorf("toolchain: %w", err)
	}
	defer os.RemoveAll(made)
	for _, name := range []string{"cell.a", "cell.so"} {
		err := os.Rename(filepath.Join(work, name), filepath.Join(made, name))
		if err == nil {
			err = os.Chmod(filepath.Join(made, name), 0o600)
		}
		if err != nil {
			return fmt.Errorf("toolchain: %w", err)
		}
	}
	text, err := digests(made)
	if err != nil {
		return fmt.Errorf("toolchain: %w", err)
	}
	if err := os.WriteFile(filepath.Join(made, "digests"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("toolchain: %w", err)
	}
	if err := os.Rename(made, dir); err != nil {
		if t.whole(dir) { // which removes it where it is damaged
			return nil // another process has built the same
		}
		if err := os.Rename(made, dir); err == nil {
			return nil
		}
		return fmt.Errorf("toolchain: %w", err)
	}
	if t.built++; t.built%check == 0 {
		t.trim(largest)
	}
	return nil
}

// trim removes the entries that have not been used for longest, until the others fit, and what was left by processes
// that died.
func (t *Toolchain) trim(limit int64) {
	scratch.CleanIn(t.cells(), "work-")
	entries, err := os.ReadDir(t.cells())
	if err != nil {
		return
	}
	type folder struct {
		path string
		size int64
		used time.Time
	}
	var folders []folder
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		f := folder{path: filepath.Join(t.cells(), e.Name()), used: info.ModTime()}
		if strings.HasPrefix(e.Name(), "loupe-work-") {
			continue // of a process that builds now
		}
		files, _ := os.ReadDir(f.path)
		for _, file := range files {
			if info, err := file.Info(); err == nil {
				f.size += info.Size()
			}
		}
		total += f.size
		folders = append(folders, f)
	}
	slices.SortFunc(folders, func(a, b folder) int { return a.used.Compare(b.used) })
	for _, f := range folders {
		// What has been used just now may be about to be loaded.
		if total <= limit || time.Since(f.used) < time.Minute {
			return
		}
		os.RemoveAll(f.path)
		total -= f.size
	}
}
