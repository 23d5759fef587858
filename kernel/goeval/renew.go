package goeval

import (
	"bytes"
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

// renewals are what cells get in place of packages that have changed.
type renewals struct {
	instead map[string]string // by import path, that of the copy
	made    map[string]string // by import path, the archive of the package itself that the copy is like
	anew    []string          // what the last %mod use has renewed
	modules int               // of copies, counted
}

// path is what is imported for an import path.
func (r *renewals) path(path string) string {
	if to := r.instead[path]; to != "" {
		return to
	}
	return path
}

// renew has cells get the packages among found that have changed since they were loaded.
func (r *run) renew(w *workspace, source string, found map[string]toolchain.Package) error {
	r.anew = nil
	own := func(path string) bool {
		return slices.ContainsFunc(w.uses, func(dir string) bool { return isWithin(found[path].Dir, dir) })
	}
	affected := map[string]bool{}
	for path, p := range found {
		was := r.made[path]
		if was == "" {
			was = p.Loaded
		}
		if was != "" && p.Archive != was && own(path) {
			affected[path] = true
			r.anew = append(r.anew, path)
		}
	}
	if len(affected) == 0 {
		return nil
	}
	slices.Sort(r.anew)
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
	r.modules++
	module := renewedModule + strconv.Itoa(r.modules)
	dir := filepath.Join(w.dir, filepath.Base(module))
	instead := maps.Clone(r.instead)
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
		_, err = r.options.Toolchain.Add(r.ctx, w.dir, module+"/...")
	}
	if err != nil {
		w.renewed = w.renewed[:len(w.renewed)-1]
		w.write(source)
		return err
	}
	r.importer.mu.Lock() // packages may still be imported ahead
	r.instead = instead
	r.importer.mu.Unlock()
	if r.made == nil {
		r.made = map[string]string{}
	}
	for path := range affected {
		r.made[path] = found[path].Archive
	}
	for name, path := range r.ns.Imports {
		r.ns.Imports[name] = r.renewed(path)
	}
	for i, path := range r.ns.Dotted {
		r.ns.Dotted[i] = r.renewed(path)
	}
	return nil
}

// renewed is what is imported for a path, which may be that of an earlier copy.
func (e *Evaluator) renewed(path string) string {
	if rest, ok := strings.CutPrefix(path, renewedModule); ok {
		_, path, _ = strings.Cut(rest, "/")
	}
	return e.path(path)
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
