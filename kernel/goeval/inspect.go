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

	"go/ast"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/lib/mime"
)

// Inspect says what the name at the cursor is: its signature or type, its documentation and, for a variable, its value.
func (e *Evaluator) Inspect(source string, cursor int) (mime.Bundle, bool) {
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
		if o := types.Universe.Lookup(v.prefix); o != nil {
			return mime.TextOf(documented(describe(o), e.documentation("builtin", v.prefix, ""))), true
		}
	}
	return mime.Bundle{}, false
}

// inspectBinding describes what a cell has defined.
func (e *Evaluator) inspectBinding(name string, b *binding) mime.Bundle {
	text := describe(b.object)
	switch b.sort {
	case isVar:
		if p := cell.Find(b.slot); p != nil {
			if v := reflect.ValueOf(p).Elem(); v.Kind() != reflect.Func && v.CanInterface() {
				text += "\n" + e.options.Present(v.Interface()).Data[mime.Text]
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

// ownPackageOf returns the package in which the fields of a type that are not exported can be seen, if that is a cell's.
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

// documentation returns the doc comment of a package, of a name in it, or of a method, from the package's source.
func (e *Evaluator) documentation(path, name, method string) string {
	dir := e.options.Toolchain.SourceDir(path)
	if dir == "" {
		return ""
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, entry := range entries {
		n := entry.Name()
		if !strings.HasSuffix(n, ".go") || strings.HasSuffix(n, "_test.go") {
			continue
		}
		if f, err := parser.ParseFile(fset, filepath.Join(dir, n), nil, parser.ParseComments); err == nil {
			files = append(files, f)
		}
	}
	p, err := doc.NewFromFiles(fset, files, path, doc.AllDecls|doc.PreserveAST)
	if err != nil {
		return ""
	}
	text := func(s string) string { return string(p.Text(s)) }
	if name == "" {
		return text(p.Doc)
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
