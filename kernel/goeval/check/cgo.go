package check

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"unsafe"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
	"github.com/loupeml/loupe/kernel/toolchain"
)

// A cell that imports C is translated by the cgo command twice: before the check, which learns from that what the names
// of C are in Go, and when the cell is compiled. C belongs to its cell alone: static functions and variables would be
// other ones in each cell that had them. Go functions that call it, and variables of C's types, are kept as all others.

// preambleLine is added to the numbers of the preamble's lines, by which messages of the C compiler are known.
const preambleLine = 500_000

// PreambleOf returns what stands before import "C", at its lines in the cell; "" where an item does not import C.
func PreambleOf(it *syntax.Item) string {
	d, ok := it.Decl.(*ast.GenDecl)
	if !ok || it.Kind != syntax.ImportItem {
		return ""
	}
	for _, spec := range d.Specs {
		if strings.Trim(spec.(*ast.ImportSpec).Path.Value, "\"`") == "C" {
			line, _ := lexical.Position(it.Text.Source, it.Lead)
			// The comment must not begin in the line behind the directive, which would belong to it.
			return fmt.Sprintf("\n//line %s:%d\n\n%simport \"C\"\n", it.Text.FileName(), preambleLine+line-1,
				it.Text.Source[it.Lead:it.Start])
		}
	}
	return ""
}

// cTypes learns what the names of C that the cell uses are in Go.
func (k *checking) cTypes() {
	source := "package main\n"
	var at *syntax.Item
	for _, it := range k.Items {
		if p := PreambleOf(it); p != "" {
			source, at = source+p, it
		}
	}
	source += "\nfunc _() {\n"
	for _, it := range k.Items {
		source += usesOfC(it)
	}
	source += "}\n"
	generated, err := k.checker.Cgo(source)
	if err != nil {
		for _, f := range k.checker.FaultsOf(err, at.Text) {
			k.add(f)
		}
		return
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", generated, 0)
	if err == nil {
		config := types.Config{Importer: k.checker.Importer, IgnoreFuncBodies: true, Sizes: types.SizesFor("gc", "amd64")}
		k.C, err = config.Check("main", fset, []*ast.File{file}, nil)
	}
	if err != nil {
		k.add(syntax.Fault{Text: at.Text, Offset: at.Start, Message: "what cgo makes of this is not understood: " +
			err.Error()})
	}
}

// usesOfC writes a statement for each name of C that an item uses, at its place and used in its way: cgo has other
// names for a function that is called, that is called for its error too, and that is not called.
func usesOfC(it *syntax.Item) string {
	var out strings.Builder
	done := map[ast.Node]bool{} // those that are called, which come again without the call
	ast.Inspect(it.Node(), func(n ast.Node) bool {
		form := "_ = C.%s"
		var x ast.Node = n
		switch p := n.(type) {
		case *ast.AssignStmt:
			if call, ok := p.Rhs[0].(*ast.CallExpr); ok && len(p.Lhs) == 2 && len(p.Rhs) == 1 {
				x, form = call.Fun, "_, _ = C.%s()"
			}
		case *ast.ValueSpec:
			if len(p.Names) == 2 && len(p.Values) == 1 {
				if call, ok := p.Values[0].(*ast.CallExpr); ok {
					x, form = call.Fun, "_, _ = C.%s()"
				}
			}
		case *ast.CallExpr:
			x, form = p.Fun, "C.%s()"
		}
		s, ok := x.(*ast.SelectorExpr)
		if !ok || done[s] {
			return true
		}
		if id, ok := s.X.(*ast.Ident); ok && id.Name == "C" {
			line, column := lexical.Position(it.Text.Source, it.Offset(s.Pos()))
			fmt.Fprintf(&out, "//line %s:%d:%d\n"+form+"\n", it.Text.FileName(), line, column, s.Sel.Name)
			done[s] = true
		}
		return true
	})
	return out.String()
}

// cObjects are what cgo has declared.
func (c *Checked) cObjects() (out []types.Object) {
	if c.C == nil {
		return nil
	}
	for _, name := range c.C.Scope().Names() {
		out = append(out, c.C.Scope().Lookup(name))
	}
	return out
}

// takesCgo has the type checker take names of C for what cgo makes of them, as the go command's vet does.
func takesCgo(config *types.Config) error {
	f := reflect.ValueOf(config).Elem().FieldByName("go115UsesCgo")
	if !f.IsValid() || f.Kind() != reflect.Bool {
		return errors.New("the type checker of this version of Go is not known to understand cgo")
	}
	*(*bool)(unsafe.Pointer(f.UnsafeAddr())) = true
	return nil
}

// isVoidOfC reports whether a type is that of a C function without a result.
func isVoidOfC(t types.Type) bool {
	n, ok := t.(*types.Named)
	return ok && n.Obj().Name() == "_Ctype_void"
}

// innerC are cgo's names for those of C.
var innerC = regexp.MustCompile(`\b_C(?:type|func|var|2func|iconst|fconst|sconst|macro)_(\w+)`)

// FaultsOf says where in cells a tool has found something wrong, of which the text of is the last. worded gives what is
// said the names that the cells have.
func FaultsOf(err error, of *syntax.Text, cells map[int]*syntax.Text, worded func(string) string) []syntax.Fault {
	var compile *toolchain.CompileError
	if !errors.As(err, &compile) {
		return []syntax.Fault{{Text: of, Message: err.Error()}}
	}
	var faults []syntax.Fault
	for _, d := range compile.Diagnostics {
		f := syntax.Fault{Text: of, Message: innerC.ReplaceAllString(worded(d.Message), "C.$1")}
		if number, ok := syntax.CellNumber(d.File); ok && cells[number] != nil {
			f.Text = cells[number]
			f.Offset = lexical.OffsetOf(f.Text.Source, d.Line, d.Column)
		} else if filepath.Base(d.File) == "cell.go" {
			line := d.Line
			if line > preambleLine { // else it is a program's
				line -= preambleLine
			}
			f.Offset = lexical.OffsetOf(f.Text.Source, line, d.Column)
		}
		faults = append(faults, f)
	}
	return faults
}
