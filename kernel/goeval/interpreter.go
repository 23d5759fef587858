// Package goeval evaluates Go cells one after another in one namespace, by interpretation.
//
// A cell is taken apart into its imports, declarations and statements (split.go), put in an order in which
// each finds what it needs, checked for names that do not exist, and then run item by item in yaegi. What
// yaegi gets wrong or words badly is kept from the user here.
package goeval

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io"
	"os"
	"path"
	"reflect"
	"runtime"
	"sort"
	"strings"
	"time"

	"github.com/traefik/yaegi/interp"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// Options configures an [Interpreter].
type Options struct {
	// Symbols are the compiled packages that cells can use, as `yaegi extract` writes them.
	Symbols []interp.Exports
	// Prefer gives the import path for a package name that several packages share.
	Prefer map[string]string
	// Stdin is what fmt.Scan and its like read; nil means the process's own.
	Stdin io.Reader
	// Present turns a value into what is shown for it.
	Present func(v any) mime.Bundle
}

// Interpreter evaluates cells. Its methods are for one goroutine at a time.
type Interpreter struct {
	options  Options
	yaegi    *interp.Interpreter
	trace    *traceWriter
	packages map[string][]string // package name to import paths
	exports  map[string]map[string]reflect.Value

	imported map[string]string // name in the cells to import path
	dotted   bool              // there was a dot import: names may come from anywhere
	names    map[string]string // what the cells have defined: name to kind ("variable", "function", "type")
	types    map[string]string // source of each type and constant declaration
	funcs    map[string]string // signature of each function
	cells    map[string]engine.Cell
	count    int
	shown    []any // what the last expression gave, set by the interpreted code
}

// showPackage is the name under which interpreted code finds the function that takes the last expression's value.
const showPackage = "loupe__"

// New returns an interpreter with no names defined.
func New(options Options) *Interpreter {
	in := &Interpreter{
		options:  options,
		trace:    &traceWriter{},
		packages: map[string][]string{},
		exports:  map[string]map[string]reflect.Value{},
		imported: map[string]string{},
		names:    map[string]string{},
		types:    map[string]string{},
		funcs:    map[string]string{},
		cells:    map[string]engine.Cell{},
	}
	// Unrestricted, because cells run in a process of their own and expect its environment.
	in.yaegi = interp.New(interp.Options{Stdin: options.Stdin, Stderr: in.trace, Unrestricted: true})
	for _, symbols := range options.Symbols {
		if err := in.yaegi.Use(symbols); err != nil {
			panic(fmt.Sprintf("goeval: %v", err)) // the tables are compiled in: a fault of ours
		}
		for key, members := range symbols {
			importPath, name := path.Split(key)
			importPath = strings.TrimSuffix(importPath, "/")
			if strings.HasPrefix(importPath, "github.com/traefik/yaegi") {
				continue
			}
			in.packages[name] = append(in.packages[name], importPath)
			in.exports[importPath] = members
		}
	}
	for name := range in.packages {
		sort.Strings(in.packages[name])
	}
	show := interp.Exports{showPackage + "/" + showPackage: {"Show": reflect.ValueOf(func(v ...any) { in.shown = v })}}
	if err := in.yaegi.Use(show); err != nil {
		panic(fmt.Sprintf("goeval: %v", err))
	}
	if _, err := in.yaegi.Eval(fmt.Sprintf("import %q", showPackage)); err != nil {
		panic(fmt.Sprintf("goeval: %v", err))
	}
	return in
}

// Names returns what cells have defined, sorted: what is lost with the worker.
func (in *Interpreter) Names() []string {
	names := make([]string, 0, len(in.names))
	for name := range in.names {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Eval runs a cell. When ctx is cancelled it returns once the interpreted code has really stopped, which
// a compiled function that the code has called can delay.
func (in *Interpreter) Eval(ctx context.Context, cell engine.Cell) engine.Result {
	in.count++
	key := fmt.Sprintf("c%d", in.count)
	in.cells[key] = cell
	in.shown = nil
	in.trace.reset()
	r := run{Interpreter: in, ctx: ctx, cell: cell, key: key}
	source, runMain := stripPackageClause(cell.Source)
	r.source = source

	items, bad := split(source)
	if bad != nil {
		return r.failed(r.compileFailure(bad))
	}
	if bad := r.check(items); bad != nil {
		return r.failed(r.compileFailure(bad))
	}
	if failure := r.importUsed(items); failure != nil {
		return r.failed(failure)
	}
	items = order(items)
	if failure := r.declareFuncs(items); failure != nil {
		return r.failed(failure)
	}
	for i, it := range items {
		if failure := r.eval(it, i == len(items)-1); failure != nil {
			return r.failed(failure)
		}
	}
	if runMain && in.names["main"] != "" {
		if failure := r.yaegiEval(variable("main") + "()"); failure != nil {
			return r.failed(failure)
		}
	}
	return r.value()
}

// stripPackageClause blanks a leading package clause: such a cell is a program, whose main is run.
func stripPackageClause(source string) (string, bool) {
	lexemes, bad := scan(source)
	if bad != nil || len(lexemes) < 2 || lexemes[0].tok != token.PACKAGE {
		return source, false
	}
	end := lexemes[1].end
	return strings.Repeat(" ", end) + source[end:], lexemes[1].lit == "main"
}

// run is one cell on its way.
type run struct {
	*Interpreter
	ctx    context.Context
	cell   engine.Cell
	key    string // names the cell's text in yaegi's positions
	source string
}

func (r *run) failed(f *engine.Failure) engine.Result { return engine.Result{Failure: f} }

// check finds names that exist nowhere before anything runs.
func (r *run) check(items []*item) *syntaxError {
	here := map[string]bool{}
	for _, it := range items {
		for _, name := range it.defines {
			here[name] = true
		}
		if it.kind != importItem {
			continue
		}
		for _, spec := range it.decl.(*ast.GenDecl).Specs {
			s := spec.(*ast.ImportSpec)
			importPath := strings.Trim(s.Path.Value, "\"`")
			if importPath == "C" || r.exports[importPath] == nil {
				return &syntaxError{offset: it.offset(s.Pos()), message: fmt.Sprintf("package %s is not among those that cells can import%s", importPath, didYouMean(path.Base(importPath), r.importPaths()))}
			}
			switch {
			case s.Name == nil:
				here[r.packageName(importPath)] = true
			case s.Name.Name == ".":
				r.dotted = true
			default:
				here[s.Name.Name] = true
			}
		}
	}
	if r.dotted {
		return nil
	}
	for _, it := range items {
		for _, id := range it.unresolved {
			name := id.Name
			if here[name] || r.names[name] != "" || r.imported[name] != "" || name == "_" {
				continue
			}
			if it.qualifiers[name] && r.packages[name] != nil {
				continue
			}
			switch {
			case name == "min" || name == "max" || name == "clear":
				return &syntaxError{offset: it.offset(id.Pos()), message: name + " is a builtin of Go 1.21, which interpreted cells do not have: write the comparison out"}
			case universe[name]:
				continue
			}
			return &syntaxError{offset: it.offset(id.Pos()), message: "undefined: " + name + didYouMean(name, r.known(here))}
		}
	}
	return nil
}

var universe = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`any bool byte comparable complex64 complex128 error float32 float64
		int int8 int16 int32 int64 rune string uint uint8 uint16 uint32 uint64 uintptr true false iota nil
		append cap close complex copy delete imag len make new panic print println real recover`) {
		universe[name] = true
	}
}

func (in *Interpreter) packageName(importPath string) string {
	for name, paths := range in.packages {
		for _, p := range paths {
			if p == importPath {
				return name
			}
		}
	}
	return path.Base(importPath)
}

func (in *Interpreter) importPaths() []string {
	var out []string
	for p := range in.exports {
		out = append(out, p)
	}
	return out
}

func (in *Interpreter) known(here map[string]bool) []string {
	var out []string
	for name := range here {
		out = append(out, name)
	}
	for name := range in.names {
		out = append(out, name)
	}
	for name := range in.packages {
		out = append(out, name)
	}
	for name := range universe {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

// importUsed imports the packages that a cell uses by their names without having imported them.
func (r *run) importUsed(items []*item) *engine.Failure {
	defined := map[string]bool{}
	for _, it := range items {
		for _, name := range it.defines {
			defined[name] = true
		}
		if it.kind == importItem {
			for _, spec := range it.decl.(*ast.GenDecl).Specs {
				s := spec.(*ast.ImportSpec)
				importPath := strings.Trim(s.Path.Value, "\"`")
				name := r.packageName(importPath)
				if s.Name != nil {
					name = s.Name.Name
				}
				r.imported[name] = importPath
				defined[name] = true
			}
		}
	}
	for _, it := range items {
		for _, id := range it.unresolved {
			name := id.Name
			if !it.qualifiers[name] || defined[name] || r.names[name] != "" || r.imported[name] != "" || r.packages[name] == nil {
				continue
			}
			importPath := r.options.Prefer[name]
			if importPath == "" {
				// The standard library goes before others, and the shorter path before the longer.
				paths := append([]string(nil), r.packages[name]...)
				sort.SliceStable(paths, func(i, j int) bool {
					if a, b := strings.Contains(paths[i], "."), strings.Contains(paths[j], "."); a != b {
						return b
					}
					return len(paths[i]) < len(paths[j])
				})
				importPath = paths[0]
			}
			if failure := r.yaegiEval(fmt.Sprintf("import %s %q", name, importPath)); failure != nil {
				return failure
			}
			r.imported[name] = importPath
		}
	}
	return nil
}

// declareFuncs prepares the functions of a cell. They become variables of function type, so that
// functions defined earlier call the new body of one that is defined again, which yaegi would not do.
func (r *run) declareFuncs(items []*item) *engine.Failure {
	for _, it := range items {
		if it.kind != typeItem {
			continue
		}
		// What the functions' signatures may mention comes first.
		if failure := r.eval(it, false); failure != nil {
			return failure
		}
		it.kind = -1
	}
	for _, it := range items {
		if it.kind != funcItem {
			continue
		}
		d := it.decl.(*ast.FuncDecl)
		var signature strings.Builder
		if err := printer.Fprint(&signature, it.fset, d.Type); err != nil {
			return r.compileFailure(&syntaxError{offset: it.start, message: err.Error()})
		}
		if r.funcs[d.Name.Name] == signature.String() && r.names[d.Name.Name] == "function" {
			continue
		}
		bare, err := withoutNames(signature.String())
		if err != nil {
			return r.compileFailure(&syntaxError{offset: it.start, message: err.Error()})
		}
		declaration := fmt.Sprintf("%svar %s %s", r.directive(it.start), variable(d.Name.Name), bare)
		if failure := r.yaegiEval(declaration); failure != nil {
			return failure
		}
		r.funcs[d.Name.Name] = signature.String()
		r.names[d.Name.Name] = "function"
	}
	return nil
}

// withoutNames returns a function type without the names of parameters and results. yaegi takes such a
// name for a use of the variable of that name, and then refuses to declare the function.
func withoutNames(signature string) (string, error) {
	e, err := parser.ParseExpr(signature)
	if err != nil {
		return "", err
	}
	ast.Inspect(e, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncType)
		if !ok {
			return true
		}
		for _, list := range []*ast.FieldList{f.Params, f.Results} {
			if list == nil {
				continue
			}
			var fields []*ast.Field
			for _, field := range list.List {
				for range max(1, len(field.Names)) {
					fields = append(fields, &ast.Field{Type: field.Type})
				}
			}
			list.List = fields
		}
		return true
	})
	var out strings.Builder
	err = printer.Fprint(&out, token.NewFileSet(), e)
	return strings.ReplaceAll(out.String(), "\n", " "), err
}

// variable is the name of the variable that holds a function; main has a meaning of its own to yaegi.
func variable(function string) string {
	if function == "main" {
		return "main__"
	}
	return function
}

// directive returns the comment that tells yaegi's parser where in the cell the text behind it stands. The name
// has the base _.go because yaegi keeps imports by the base name of the file.
func (r *run) directive(offset int) string {
	line, column := position(r.source, offset)
	return fmt.Sprintf("\n//line %s/_.go:%d:%d\n", r.key, line, column)
}

// eval runs one item. last is set for the last of the cell, whose value is shown if it is an expression.
func (r *run) eval(it *item, last bool) *engine.Failure {
	text := r.source[it.start:it.end]
	switch it.kind {
	case -1:
		return nil // a type that declareFuncs has taken
	case typeItem:
		// yaegi ignores a second declaration of a type.
		for _, name := range it.defines {
			if before, ok := r.types[name]; ok {
				if before == text {
					return nil
				}
				if it.decl.(*ast.GenDecl).Tok == token.TYPE {
					return r.compileFailure(&syntaxError{offset: it.start, message: fmt.Sprintf("type %s is already defined in another way, and interpreted types cannot be redefined: choose another name, or restart the kernel", name)})
				}
			}
		}
	case methodItem:
		if d := it.decl.(*ast.FuncDecl); d.Recv == nil && d.Name.Name == "init" {
			// A cell has no initialisation: what would be done then is done now.
			text = "func() " + r.source[it.offset(d.Body.Pos()):it.end] + "()"
		}
	case funcItem:
		// "func f(…)" is now an assignment; the comment keeps the positions behind the name right.
		d := it.decl.(*ast.FuncDecl)
		at := it.offset(d.Type.Params.Pos())
		line, column := position(r.source, at)
		text = fmt.Sprintf("%s = func/*line %s/_.go:%d:%d*/%s", variable(d.Name.Name), r.key, line, column, r.source[at:it.end])
	case stmtItem:
		if e, ok := it.stmt.(*ast.ExprStmt); ok && last && !prints(e.X) {
			line, column := position(r.source, it.start)
			failure := r.yaegiEval(fmt.Sprintf("%s.Show(/*line %s/_.go:%d:%d*/%s)", showPackage, r.key, line, column, text))
			if failure == nil || failure.Name != "CompileError" {
				return failure
			}
			// A call without results has no value to show; if it is something else, it fails again.
		}
	}
	if d, ok := it.definition(); ok {
		if failure := r.define(it, d); failure != nil {
			return failure
		}
	} else {
		var kept map[string]reflect.Value
		if it.kind == varItem {
			kept = r.keep(it.defines)
		}
		if failure := r.yaegiEval(r.directive(it.start) + text + "\n"); failure != nil {
			r.giveBack(kept, failure)
			return failure
		}
	}
	for _, name := range it.defines {
		switch it.kind {
		case typeItem:
			r.names[name] = "type"
			r.types[name] = text
		case funcItem, methodItem:
			r.names[name] = "function"
		default:
			r.names[name] = "variable"
			delete(r.funcs, name)
		}
	}
	return nil
}

// prints reports whether the expression is a call of fmt's printing functions, whose results nobody wants to see.
func prints(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == "fmt" && (strings.HasPrefix(sel.Sel.Name, "Print") || strings.HasPrefix(sel.Sel.Name, "Fprint"))
}

// unwind is how long the code has after an interrupt to end by itself, before the interpreter stops it: what waits in
// a library or in time.Sleep ends at the interrupt, and the calls that the code has deferred then
// still run, which they would not once the interpreter has stopped.
const unwind = 30 * time.Millisecond

// yaegiEval gives text to yaegi and waits until it has really ended.
func (r *run) yaegiEval(text string) *engine.Failure {
	if r.ctx.Err() != nil {
		return interrupted()
	}
	r.trace.reset()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.ctx))
	defer cancel()
	defer context.AfterFunc(r.ctx, func() { time.AfterFunc(unwind, cancel) })()
	_, err := r.yaegi.EvalWithContext(ctx, text)
	if err == nil && r.ctx.Err() == nil {
		return nil
	}
	defer r.makeRoom()
	if r.ctx.Err() != nil {
		// However it has ended: an error that a library gave for the interrupt is the interrupt.
		awaitYaegi()
		return interrupted()
	}
	var p interp.Panic
	frames := r.trace.frames()
	if errors.As(err, &p) {
		if len(frames) == 0 {
			return r.internalFailure(fmt.Sprint(p.Value))
		}
		return r.panicFailure(p.Value, frames)
	}
	if len(frames) > 0 {
		return r.panicFailure(err, frames)
	}
	return r.yaegiFailure(err)
}

// makeRoom lets yaegi make room for the variables of a text that did not compile. It has counted them,
// and its Globals, which completion needs, panics until something has been run again.
func (in *Interpreter) makeRoom() {
	in.yaegi.EvalWithContext(context.Background(), "0") // with a context, since only this recovers
}

// awaitYaegi waits for the goroutine in which EvalWithContext runs the code: at a cancellation it returns
// at once, while the goroutine goes on until the compiled function that it may be in returns.
func awaitYaegi() {
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if !strings.Contains(string(stacks[:n]), "interp.(*Interpreter).EvalWithContext.func1") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// value makes the cell's result of what its last expression gave.
func (r *run) value() engine.Result {
	values := r.shown
	r.shown = nil
	if n := len(values); n > 0 {
		// The last of several values, or the only one, that is an error has failed the cell; a nil one says nothing.
		if err, ok := values[n-1].(error); ok && err != nil && n > 1 {
			return r.failed(&engine.Failure{Name: "Error", Message: firstLine(err.Error()), Traceback: r.traceback("Error", err.Error(), nil)})
		}
		if n > 1 && values[n-1] == nil {
			values = values[:n-1]
		}
	}
	switch len(values) {
	case 0:
		return engine.Result{}
	case 1:
		if values[0] == nil {
			return engine.Result{}
		}
		b := r.options.Present(values[0])
		return engine.Result{Value: &b}
	}
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = r.options.Present(v).Data[mime.Text]
	}
	b := mime.TextOf(strings.Join(parts, ", "))
	return engine.Result{Value: &b}
}

// traceWriter is yaegi's standard error. yaegi writes a line for each interpreted function that a panic
// leaves, with its position, which is the only way to learn it; other text goes on to the real one.
type traceWriter struct {
	lines []string
}

func (w *traceWriter) reset() { w.lines = nil }

func (w *traceWriter) Write(p []byte) (int, error) {
	for _, line := range strings.SplitAfter(string(p), "\n") {
		if at := strings.Index(line, ": panic"); at > 0 && framePattern.MatchString(line) {
			w.lines = append(w.lines, line)
		} else if line != "" {
			if _, err := io.WriteString(os.Stderr, line); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}
