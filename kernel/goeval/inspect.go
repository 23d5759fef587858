package goeval

import (
	"fmt"
	"go/doc"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"go/ast"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/lib/mime"
)

// Inspect says what the name at the cursor is: its signature or type, its documentation and, for a variable, its value.
// With detail 1 it adds the source.
func (e *Evaluator) Inspect(source string, cursor, detail int) (mime.Bundle, bool) {
	e.turn.Lock()
	defer e.turn.Unlock()
	return e.inspect(source, cursor, detail)
}

func (e *Evaluator) inspect(source string, cursor, detail int) (mime.Bundle, bool) {
	e.sources = detail > 0
	defer func() { e.sources = false }()
	source = onlyGo(source)
	v := e.view(source, cursor, true)
	if v.prefix == "" {
		return mime.Bundle{}, false
	}
	switch {
	case v.pkg != nil:
		if o := v.pkg.Scope().Lookup(v.prefix); o != nil && o.Exported() {
			return mime.TextOf(documented(describe(o), e.documentation(v.pkg.Path(), o.Name(), ""))), true
		}
	case v.typ != nil:
		o, _, _ := types.LookupFieldOrMethod(v.typ, true, ownPackageOf(v.typ), v.prefix)
		if o != nil {
			var doc string
			if f, ok := o.(*types.Func); ok && f.Pkg() != nil {
				doc = e.documentation(f.Pkg().Path(), receiverName(f), f.Name())
			}
			return mime.TextOf(documented(describe(o), doc)), true
		}
	case v.expr != "":
	default:
		for _, o := range v.locals {
			if o.Name() == v.prefix && e.ns.bindings[v.prefix] == nil {
				return mime.TextOf(describe(o)), true
			}
		}
		if b := e.ns.bindings[v.prefix]; b != nil {
			return e.inspectBinding(v.prefix, b), true
		}
		path := e.ns.imports[v.prefix]
		if path == "" && len(e.packages[v.prefix]) > 0 {
			path = e.packages[v.prefix][0]
		}
		if path != "" {
			return mime.TextOf(documented(fmt.Sprintf("package %s // import %q", v.prefix, path), e.documentation(path, "", ""))), true
		}
		if v.prefix == mustName {
			return mime.TextOf(documented(describe(e.checker.musts.named[1]), mustDoc)), true
		}
		if o := types.Universe.Lookup(v.prefix); o != nil {
			return mime.TextOf(documented(describe(o), e.documentation("builtin", v.prefix, ""))), true
		}
	}
	return mime.Bundle{}, false
}

// inspectBinding describes what a cell has defined.
func (e *Evaluator) inspectBinding(name string, b *binding) (bundle mime.Bundle) {
	text := describe(b.object)
	if g := e.groups[name]; g != nil && b.sort == isVar && e.sources {
		defer func() { bundle = mime.TextOf(bundle.Data[mime.Text] + "\n\n" + g.source()) }()
	}
	switch b.sort {
	case isVar:
		if e.running > 0 {
			text += "\n(a cell is running, and may be changing it)"
		} else if p := cell.Find(b.slot); p != nil {
			if v := reflect.ValueOf(p).Elem(); v.Kind() != reflect.Func && v.CanInterface() {
				text += "\n" + e.valueIs(v)
			}
		}
	default:
		if g := e.groups[name]; g != nil {
			text += "\n\n" + g.source()
		}
	}
	return mime.TextOf(text)
}

func documented(signature, doc string) string {
	if doc = strings.TrimSpace(doc); doc == "" {
		return signature
	}
	return signature + "\n\n" + doc
}

// ownPackageOf returns the package in which the fields of a type that are not exported can be seen, if that is a
// cell's.
func ownPackageOf(t types.Type) *types.Package { return types.NewPackage("main", "main") }

func receiverName(f *types.Func) string {
	recv := f.Signature().Recv()
	if recv == nil {
		return ""
	}
	t := recv.Type()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := t.(*types.Named); ok {
		return n.Obj().Name()
	}
	return ""
}

// sources are the parsed files of a package.
type sources struct {
	fset  *token.FileSet
	files []*ast.File
	doc   *doc.Package
	last  time.Time // when the last of the files was changed
	count int
}

// keptSources is how many packages' sources are kept parsed.
const keptSources = 16

// sourcesOf parses the files of a package, unless it has done so since they were changed; nil where there are none.
func (e *Evaluator) sourcesOf(path string) *sources {
	dir := e.options.Toolchain.SourceDir(path)
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	s := &sources{fset: token.NewFileSet()}
	var names []string
	for _, entry := range entries {
		n := entry.Name()
		info, err := entry.Info()
		if err != nil || !strings.HasSuffix(n, ".go") || strings.HasSuffix(n, "_test.go") {
			continue
		}
		names = append(names, n)
		if info.ModTime().After(s.last) {
			s.last = info.ModTime()
		}
	}
	s.count = len(names)
	if old := e.parsed[path]; old != nil && old.count == s.count && old.last.Equal(s.last) {
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
	if len(e.parsed) >= keptSources {
		clear(e.parsed)
	}
	e.parsed[path] = s
	return s
}

// documentation returns the doc comment of a package, of a name in it, or of a method, from the package's source.
func (e *Evaluator) documentation(path, name, method string) (found string) {
	s := e.sourcesOf(path)
	if s == nil {
		return ""
	}
	fset, files, p := s.fset, s.files, s.doc
	text := func(s string) string { return string(p.Text(s)) }
	if name == "" {
		return text(p.Doc)
	}
	if e.sources {
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
				if method == "" && d.Recv == nil && d.Name.Name == name || method != "" && d.Name.Name == method && receiverOf(d) == name {
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
							node = spec
						}
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							if n.Name == name {
								node = spec
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

// receiverOf is the name of a method's type.
func receiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.ParenExpr:
			t = x.X
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
