package modules

import (
	"bytes"
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"go/version"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/kernel/toolchain"
)

// Go can load a package once: another package of the same path does not come into the process. So a package of the
// user's that has changed since it was loaded is compiled from a copy under another path, with all packages of the
// user's that import it. Cells go on to import it by its own path. What earlier cells have made keeps the old code.

// renewedModule begins the paths of the modules of such copies.
const renewedModule = "cells/renewed"

// Path is what is imported for an import path.
func (m *Modules) Path(path string) string {
	m.mu.Lock() // packages may be imported ahead
	defer m.mu.Unlock()
	if to := m.instead[path]; to != "" {
		return to
	}
	return path
}

// IsCopy reports whether an import path is that of a copy.
func IsCopy(path string) bool { return strings.HasPrefix(path, renewedModule) }

// renew has cells get the packages among found that have changed since they were loaded.
func (m *Modules) renew(ctx context.Context, w *workspace, source string, found map[string]toolchain.Package) error {
	m.anew = nil
	own := func(path string) bool {
		return slices.ContainsFunc(w.uses, func(dir string) bool { return isWithin(found[path].Dir, dir) })
	}
	affected := map[string]bool{}
	for path, p := range found {
		was := m.made[path]
		if was == "" {
			was = p.Loaded
		}
		if was != "" && p.Archive != was && own(path) {
			affected[path] = true
			m.anew = append(m.anew, path)
		}
	}
	if len(affected) == 0 {
		return nil
	}
	slices.Sort(m.anew)
	for grown := true; grown; {
		grown = false
		for path, p := range found {
			if !own(path) {
				continue
			}
			for _, imported := range p.Imports {
				switch {
				case affected[imported] && !affected[path]:
					affected[path], grown = true, true
				// Go lets only what lies beside an internal package import it.
				case affected[path] && own(imported) && !affected[imported] && strings.Contains("/"+imported+"/", "/internal/"):
					affected[imported], grown = true, true
				}
			}
		}
	}
	m.copies++
	module := renewedModule + strconv.Itoa(m.copies)
	dir := filepath.Join(w.dir, filepath.Base(module))
	instead := maps.Clone(m.instead)
	if instead == nil {
		instead = map[string]string{}
	}
	for path := range affected {
		instead[path] = module + "/" + path
	}
	for path := range affected {
		if err := copyPackage(found[path].Dir, filepath.Join(dir, filepath.FromSlash(path)), instead); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("module %s\n\ngo %s\n", module, strings.TrimPrefix(version.Lang(runtime.Version()), "go"))
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o600); err != nil {
		return err
	}
	w.renewed = append(w.renewed, dir)
	err := w.write(source)
	if err == nil {
		_, err = m.tools.Add(ctx, w.dir, module+"/...")
	}
	if err != nil {
		w.renewed = w.renewed[:len(w.renewed)-1]
		w.write(source)
		return err
	}
	m.mu.Lock()
	m.instead = instead
	m.mu.Unlock()
	if m.made == nil {
		m.made = map[string]string{}
	}
	for path := range affected {
		m.made[path] = found[path].Archive
	}
	return nil
}

// Renewed is what is imported for a path, which may be that of an earlier copy.
func (m *Modules) Renewed(path string) string {
	if rest, ok := strings.CutPrefix(path, renewedModule); ok {
		_, path, _ = strings.Cut(rest, "/")
	}
	return m.Path(path)
}

// copyPackage copies the files of a package, with what they may embed. Imports are those of the copies in instead.
func copyPackage(from, to string, instead map[string]string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && path != from && isPackage(path):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go") || d.Name() == "go.mod":
			return nil // with a go.mod, the copy would be of another module
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Ext(path) == ".go" {
			// Its positions stay those of the file.
			text = append(fmt.Appendf(nil, "//line %s:1\n", path), withImports(text, instead)...)
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o600)
	})
}

// isPackage reports whether a folder has files of Go.
func isPackage(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	return len(files) > 0 || exists(filepath.Join(dir, "go.mod"))
}

// OfProgram gives a program the packages that cells get.
func (m *Modules) OfProgram(text string) string {
	if len(m.instead) == 0 {
		return text
	}
	return string(withImports([]byte(text), m.instead))
}

// withImports gives a file's text other imports. Its lines stay what they are.
func withImports(text []byte, instead map[string]string) []byte {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", text, parser.ImportsOnly)
	if err != nil {
		return text // the compiler tells what is wrong
	}
	var out bytes.Buffer
	at := 0
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if to := instead[imported]; err == nil && to != "" {
			out.Write(text[at:files.Position(spec.Path.Pos()).Offset])
			out.WriteString(strconv.Quote(to))
			at = files.Position(spec.Path.End()).Offset
		}
	}
	out.Write(text[at:])
	return out.Bytes()
}

func isWithin(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return path != "" && err == nil && filepath.IsLocal(rel)
}
