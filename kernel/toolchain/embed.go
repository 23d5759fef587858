package toolchain

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// Embed is the files that a unit has embedded, in the form in which the compiler reads it.
type Embed struct {
	Patterns map[string][]string // the files that a pattern of a //go:embed line matches, below the folder of its source
	Files    map[string]string   // where those are
}

// Add finds the files below a folder that match a pattern, by the go command's rules, and returns them.
func (e *Embed) Add(dir, pattern string) ([]string, error) {
	files, err := embedded(dir, pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern %s: %w", pattern, err)
	}
	if e.Patterns == nil {
		e.Patterns, e.Files = map[string][]string{}, map[string]string{}
	}
	e.Patterns[pattern] = files
	for _, file := range files {
		e.Files[file] = filepath.Join(dir, filepath.FromSlash(file))
	}
	return files, nil
}

// Digest tells apart what files have in them.
func (e *Embed) Digest(files []string) (string, error) {
	h := sha256.New()
	for _, name := range files {
		f, err := os.Open(e.Files[name])
		if err != nil {
			return "", err
		}
		size, err := io.Copy(h, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
		fmt.Fprintf(h, " %d %q\n", size, name)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// embedded returns the files that a pattern matches, with slashes and sorted.
func embedded(dir, pattern string) ([]string, error) {
	glob, hidden := strings.CutPrefix(pattern, "all:")
	if _, err := path.Match(glob, ""); err != nil || glob == "." || !fs.ValidPath(glob) {
		return nil, errors.New("invalid pattern syntax")
	}
	below := os.DirFS(dir)
	matches, err := fs.Glob(below, glob)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, name := range matches {
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		what := "file"
		if info.IsDir() {
			what = "directory"
		}
		if err := onTheWay(dir, name); err != nil {
			return nil, fmt.Errorf("cannot embed %s %s: %w", what, name, err)
		}
		switch {
		case info.Mode().IsRegular():
			files = append(files, name)
		case info.IsDir():
			inside, err := embeddedIn(below, name, hidden)
			if err == nil && len(inside) == 0 {
				err = fmt.Errorf("cannot embed directory %s: contains no embeddable files", name)
			}
			if err != nil {
				return nil, err
			}
			files = append(files, inside...)
		default:
			return nil, fmt.Errorf("cannot embed irregular file %s", name)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no matching files found")
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// onTheWay says what is wrong with a file's or folder's name, or with a folder on the way to it.
func onTheWay(dir, name string) error {
	for at := name; at != "."; at = path.Dir(at) {
		full := filepath.Join(dir, filepath.FromSlash(at))
		if _, err := os.Stat(filepath.Join(full, "go.mod")); err == nil {
			return errors.New("in different module")
		}
		if info, err := os.Lstat(full); at != name && err == nil && !info.IsDir() {
			return fmt.Errorf("in non-directory %s", at)
		}
		if base := path.Base(at); badName(base) {
			if at == name {
				return fmt.Errorf("invalid name %s", base)
			}
			return fmt.Errorf("in invalid directory %s", base)
		}
	}
	return nil
}

// embeddedIn returns the files of a folder. Hidden ones are left out unless they are asked for, and so are modules.
func embeddedIn(below fs.FS, folder string, hidden bool) (files []string, err error) {
	err = fs.WalkDir(below, folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if name != folder && (badName(base) || !hidden && (base[0] == '.' || base[0] == '_')) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			if _, err := fs.Stat(below, path.Join(name, "go.mod")); err == nil && name != folder {
				return fs.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() {
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

// badName reports whether the file's or folder's name is one that no module can have in it.
func badName(name string) bool {
	switch name {
	case ".bzr", ".hg", ".git", ".svn":
		return true
	}
	return module.CheckFilePath(name) != nil
}
