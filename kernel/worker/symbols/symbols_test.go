package symbols

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// A name that the library exports and the tables lack would be missing from cells and from completion.
func TestTablesAreCurrent(t *testing.T) {
	root := filepath.Join(testenv.Root(), "lib")
	const module = "github.com/loupeml/loupe/lib"
	known := map[string]bool{}
	for key := range Symbols {
		known[path.Dir(key)] = true
	}
	err := filepath.WalkDir(root, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if entry.Name() == "internal" || entry.Name() == "testdata" {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		importPath := path.Join(module, filepath.ToSlash(rel))
		name, exported := exportedNames(t, dir)
		switch importPath {
		case module + "/assets", module + "/mime", module + "/interrupt", module + "/sink", module + "/display/terminal",
			module + "/sweep/jobs":
			return nil // not for cells
		}
		table := Symbols[importPath+"/"+name]
		for n := range exported {
			if !table[n].IsValid() {
				t.Errorf("cells do not know %s.%s: run `go generate ./kernel/worker/symbols`", importPath, n)
			}
		}
		for n := range table {
			if !exported[strings.TrimPrefix(n, "_")] {
				t.Errorf("cells know %s.%s, which is no more: run `go generate ./kernel/worker/symbols`", importPath, n)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !known[module] || len(known) < 15 {
		t.Errorf("only %d packages have tables", len(known))
	}
}

// exportedNames returns the package's name and what it exports, without generic functions and types, which cells cannot
// use.
func exportedNames(t *testing.T, dir string) (string, map[string]bool) {
	t.Helper()
	names := map[string]bool{}
	pkgName := ""
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		pkgName = f.Name.Name
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Type.TypeParams == nil && d.Name.IsExported() {
					names[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						if s.Name.IsExported() && s.TypeParams == nil {
							names[s.Name.Name] = true
						}
					case *ast.ValueSpec:
						for _, n := range s.Names {
							if n.IsExported() {
								names[n.Name] = true
							}
						}
					}
				}
			}
		}
	}
	return pkgName, names
}
