package assist

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// Sources finds and parses the sources of packages, and keeps what it has parsed last.
type Sources struct {
	dir    func(path string) string // where a package's source lies; "" where it lies nowhere
	parsed map[string]*packageSources
}

// NewSources returns the sources of packages that lie where dir says.
func NewSources(dir func(path string) string) *Sources {
	return &Sources{dir: dir, parsed: map[string]*packageSources{}}
}

// packageSources are the parsed files of a package.
type packageSources struct {
	fset  *token.FileSet
	files []*ast.File
	doc   *doc.Package
	tests []string  // paths of the files with tests, among which are the examples
	last  time.Time // when the last of the files was changed
	count int
}

// keptSources is how many packages' sources are kept parsed.
const keptSources = 16

// sourcesOf parses the files of a package, unless it has done so since they were changed; nil where there are none.
func (e *Environment) sourcesOf(path string) *packageSources {
	dir := e.Sources.dir(path)
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	s := &packageSources{fset: token.NewFileSet()}
	var names []string
	for _, entry := range entries {
		n := entry.Name()
		info, err := entry.Info()
		if err != nil || !strings.HasSuffix(n, ".go") {
			continue
		}
		if strings.HasSuffix(n, "_test.go") {
			s.tests = append(s.tests, filepath.Join(dir, n))
			continue
		}
		names = append(names, n)
		if info.ModTime().After(s.last) {
			s.last = info.ModTime()
		}
	}
	s.count = len(names)
	if old := e.Sources.parsed[path]; old != nil && old.count == s.count && old.last.Equal(s.last) {
		return old
	}
	for _, n := range names {
		if f, err := parser.ParseFile(s.fset, filepath.Join(dir, n), nil, parser.ParseComments); err == nil {
			s.files = append(s.files, f)
		}
	}
	if s.doc, err = doc.NewFromFiles(s.fset, s.files, path, doc.AllDecls|doc.PreserveAST); err != nil {
		return nil
	}
	if len(e.Sources.parsed) >= keptSources {
		clear(e.Sources.parsed)
	}
	e.Sources.parsed[path] = s
	return s
}

// documentation returns the doc comment of a package, of a name in it, or of a method, from the package's source.
func (e *Environment) documentation(path, name, method string) (found string) {
	s := e.sourcesOf(path)
	if s == nil {
		return ""
	}
	fset, files, p := s.fset, s.files, s.doc
	text := func(s string) string { return string(p.Text(s)) }
	if name == "" {
		return text(p.Doc)
	}
	if e.withSource {
		if source := declaration(fset, files, name, method); source != "" {
			defer func() { found = strings.TrimSpace(found) + "\n\n" + source }()
		}
	}
	funcs := p.Funcs
	values := append(append([]*doc.Value{}, p.Consts...), p.Vars...)
	for _, t := range p.Types {
		if t.Name == name {
			if method == "" {
				return text(t.Doc)
			}
			for _, m := range t.Methods {
				if m.Name == method {
					return text(m.Doc)
				}
			}
		}
		funcs = append(funcs, t.Funcs...)
		values = append(append(values, t.Consts...), t.Vars...)
	}
	for _, f := range funcs {
		if f.Name == name {
			return text(f.Doc)
		}
	}
	for _, v := range values {
		for _, n := range v.Names {
			if n == name {
				return text(v.Doc)
			}
		}
	}
	return ""
}

// declaration returns the source of a name's declaration, or of a method's.
func declaration(fset *token.FileSet, files []*ast.File, name, method string) string {
	var node ast.Node
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if method == "" && d.Recv == nil && d.Name.Name == name || method != "" && d.Name.Name == method &&
					syntax.ReceiverOf(d) == name {
					node = d
				}
			case *ast.GenDecl:
				if method != "" {
					continue
				}
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.Name == name {
							node = alone(d, spec)
						}
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							if n.Name == name {
								node = alone(d, spec)
							}
						}
					}
				}
			}
		}
	}
	if node == nil {
		return ""
	}
	start, end := fset.Position(node.Pos()), fset.Position(node.End())
	data, err := os.ReadFile(start.Filename)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("// %s, line %d\n%s", filepath.Base(start.Filename), start.Line, data[start.Offset:end.Offset])
}

// alone returns the declaration of a name that is declared by itself, with its keyword; else the part that declares it.
func alone(d *ast.GenDecl, spec ast.Spec) ast.Node {
	if d.Lparen.IsValid() {
		return spec
	}
	return d
}

// fieldDoc returns the comment of a struct's field, from the source of the package or the cell that declares it.
func (e *Environment) fieldDoc(of *types.Named, field string) string {
	if of == nil || of.Obj().Pkg() == nil {
		return ""
	}
	var files []*ast.File
	if s := e.sourcesOf(of.Obj().Pkg().Path()); s != nil {
		files = s.files
	} else if g := e.Groups[of.Obj().Name()]; g != nil && of.Obj().Pkg().Path() == "main" {
		if f, err := parser.ParseFile(token.NewFileSet(), "", "package main\n"+g.Source(),
			parser.ParseComments); err == nil {
			files = append(files, f)
		}
	}
	for _, f := range files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				t, ok := spec.(*ast.TypeSpec)
				if !ok || t.Name.Name != of.Obj().Name() {
					continue
				}
				if st, ok := t.Type.(*ast.StructType); ok {
					return commentOf(st, field)
				}
			}
		}
	}
	return ""
}

func commentOf(st *ast.StructType, field string) string {
	for _, f := range st.Fields.List {
		for _, name := range f.Names {
			if name.Name == field {
				return strings.TrimSpace(f.Doc.Text() + f.Comment.Text())
			}
		}
	}
	return ""
}

// exampleOf returns an example of a package, of something in it, or of a method, from the package's tests; "" where
// there is none.
func (e *Environment) exampleOf(path, receiver, name string) string {
	s := e.sourcesOf(path)
	if s == nil {
		return ""
	}
	want := name
	if receiver != "" {
		want = receiver + "_" + name
	}
	// Files of examples are small and mostly have it in their names; files of tests may be very large.
	for _, likely := range []bool{true, false} {
		for _, file := range s.tests {
			if strings.Contains(filepath.Base(file), "example") != likely {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil || !bytes.Contains(data, []byte("func Example"+want)) {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, file, data, parser.ParseComments)
			if err != nil {
				continue
			}
			for _, x := range doc.Examples(f) {
				// A suffix that begins with a small letter names one of several examples.
				rest, ok := strings.CutPrefix(x.Name, want)
				if ok && (rest == "" || rest[0] == '_' && len(rest) > 1 && rest[1] >= 'a' && rest[1] <= 'z') {
					return exampleText(fset, x)
				}
			}
		}
	}
	return ""
}

// exampleText is an example as a person reads it: what stands in its function.
func exampleText(fset *token.FileSet, x *doc.Example) string {
	var out strings.Builder
	if printer.Fprint(&out, fset, &printer.CommentedNode{Node: x.Code, Comments: x.Comments}) != nil {
		return ""
	}
	text := strings.TrimSuffix(strings.TrimPrefix(out.String(), "{"), "}")
	var lines []string
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		lines = append(lines, "    "+strings.TrimPrefix(line, "\t"))
	}
	return "\n\nExample:\n" + strings.TrimRight(strings.Join(lines, ""), " \n")
}
