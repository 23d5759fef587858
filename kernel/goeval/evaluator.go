// Package goeval evaluates Go cells one after another in one namespace, at two speeds.
//
// A cell is taken apart into its imports, declarations and statements (package syntax), checked with go/types against
// all that earlier cells have defined (check, namespace), given to one of two tiers (choose.go), rewritten for it
// (lower), and run: compiled and loaded as a plugin (toolchain), or interpreted by yaegi (interpret.go). Both tiers
// work on the same variables, which live in slots (package cell).
package goeval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/traefik/yaegi/interp"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/assist"
	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/lower"
	"github.com/loupeml/loupe/kernel/goeval/modules"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/outputs"
	"github.com/loupeml/loupe/kernel/goeval/peek"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
	"github.com/loupeml/loupe/kernel/toolchain"
	"github.com/loupeml/loupe/lib/mime"
)

// Options configures an [Evaluator].
type Options struct {
	// Toolchain compiles cells.
	Toolchain *toolchain.Toolchain
	// Symbols are the compiled packages that interpreted cells can use, as `yaegi extract` writes them.
	Symbols []interp.Exports
	// Linked are the paths of the modules that are linked into this program.
	Linked map[string]bool
	// Prefer gives the import path for a package name that several packages share.
	Prefer map[string]string
	// Stdin is what fmt.Scan and its like read; nil means the process's own.
	Stdin io.Reader
	// Ask asks the person at the front end for a line, until ctx is cancelled; nil where nobody can be asked.
	Ask func(ctx context.Context, prompt string, password bool) (string, error)
	// Stdout is what interpreted cells print to; nil means the process's own.
	Stdout io.Writer
	// Magics are further lines that begin with %, by their names.
	Magics map[string]Magic
	// NoShell has cells run no commands by ! and %%bash.
	NoShell bool
	// Present turns a value into what is shown for it.
	Present func(v any) mime.Bundle
	// Strings offers the names that may stand in a string; only says that nothing else is right there, not even the name
	// of a file. It may be nil.
	Strings func(in assist.StringPlace) (names []engine.Match, only bool)
	// Describe is Present's text alone.
	Describe func(v any) string
}

// Evaluator evaluates cells. Several may run at a time; what comes before and after that is done for one after the
// other.
type Evaluator struct {
	turn sync.Mutex // guards all below but where it says otherwise; not held while a cell's code runs

	options  Options
	importer *lockedImporter
	checker  *check.Checker
	packages map[string][]string // package name to import paths

	running int // cells whose code runs

	fset   *token.FileSet
	ns     *namespace.Namespace
	texts  map[int]*syntax.Text
	tier   tierChoice // of the last cell
	engine string     // set by %engine: "auto", "go", "yaegi"

	outputs *outputs.Outputs
	groups  map[string]*check.Group // the source of each declaration, by name
	interp  *interpreter

	owners map[string]*check.Checked // who has given a slot's function its body; guarded by swap
	swap   sync.Mutex
	behind sync.WaitGroup // compilations in the background

	loads     loads
	modules   *modules.Modules
	noAutoget bool     // by %noautoget
	flags     []string // by %goflags

	woken map[string]bool // names that something outside of the cells may wake: see noteQuiet
	units sync.Map        // whether a cell's package is quiet, by its path

	sources *assist.Sources
	files   int    // how many files' cells have run, whose texts have negative numbers
	lastDir string // before the last %cd
}

// New returns an evaluator with no names defined.
func New(options Options) *Evaluator {
	e := &Evaluator{options: options, fset: token.NewFileSet(), packages: map[string][]string{}, ns: namespace.New(),
		texts: map[int]*syntax.Text{}, groups: map[string]*check.Group{},
		sources: assist.NewSources(options.Toolchain.SourceDir),
		owners:  map[string]*check.Checked{},
		woken:   map[string]bool{}, engine: "auto", outputs: outputs.New()}
	e.importer = &lockedImporter{importer: importer.ForCompiler(token.NewFileSet(), "gc",
		options.Toolchain.Export)}
	e.modules = modules.New(options.Toolchain, options.Linked, e.importer, e.packagesChanged)
	e.importer.path = e.modules.Path
	e.interp = newInterpreter(options)
	e.learnPackages()
	e.checker = &check.Checker{
		Importer: e.importer,
		Resolve:  e.resolve,
		HomesOf:  e.homesOf,
		Cgo:      e.cgo,
		FaultsOf: e.faultsOf,
		Known: func() []string {
			return append(slices.Collect(maps.Keys(e.packages)), append(types.Universe.Names(), must.Name)...)
		},
		Musts: must.New(),
	}
	return e
}

// learnPackages notes which packages cells can import.
func (e *Evaluator) learnPackages() {
	clear(e.packages)
	for p, name := range e.options.Toolchain.Packages() {
		if modules.IsCopy(p) {
			continue // it comes by the path of what it is a copy of
		}
		e.packages[name] = append(e.packages[name], p)
	}
	for name, paths := range e.packages {
		slices.SortFunc(paths, modules.Nearer)
		if p := e.options.Prefer[name]; p != "" {
			e.packages[name] = append([]string{p}, slices.DeleteFunc(paths, func(q string) bool { return p == q })...)
		}
	}
}

// resolve chooses among the packages of a name: the one that has most of what is used of it. now, where it is not
// empty, is the one that the name stands for already, which stays unless another one has more.
func (e *Evaluator) resolve(name, now string, uses []check.Use) string {
	paths := e.packages[name]
	if now != "" {
		paths = append([]string{now}, slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return p == now })...)
	}
	best, most := "", -1
	for _, path := range paths {
		p, err := e.importer.Import(path)
		if err != nil {
			continue
		}
		has := 0
		for _, u := range uses {
			if u.Of(p) {
				has++
			}
		}
		if has > most {
			best, most = e.modules.Path(path), has
		}
	}
	return best
}

// homesOf returns the packages of a name that have a member, or all for the empty one.
func (e *Evaluator) homesOf(name, member string) (paths []string) {
	if member == "" {
		return e.packages[name]
	}
	for _, path := range e.packages[name] {
		if p, err := e.importer.Import(path); err == nil && (check.Use{Name: member, Arguments: -1}).Of(p) {
			paths = append(paths, path)
		}
	}
	return paths
}

// lockedImporter words what cannot be imported, and lets packages be imported ahead by another goroutine.
type lockedImporter struct {
	mu       sync.Mutex
	path     func(string) string // what is imported for a path
	importer types.Importer
}

func (l *lockedImporter) Import(path string) (*types.Package, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	p, err := l.importer.Import(l.path(path))
	if err != nil && strings.Contains(strings.Split(path, "/")[0], ".") {
		err = fmt.Errorf("package %s is not in this notebook's modules: %%mod get %s@VERSION lets cells import it", path,
			modules.ModuleOf(path))
	}
	return p, err
}

// packagesChanged takes note of packages that cells can import now.
func (e *Evaluator) packagesChanged() {
	for name, path := range e.ns.Imports {
		e.ns.Imports[name] = e.modules.Renewed(path)
	}
	for i, path := range e.ns.Dotted {
		e.ns.Dotted[i] = e.modules.Renewed(path)
	}
	e.learnPackages()
}

// autoget lets the cell import what it does and what no module of the notebook has, unless %noautoget has been said.
func (r *run) autoget(items []*syntax.Item) error {
	if r.noAutoget {
		return nil
	}
	return r.modules.GetFor(r.ctx, items)
}

// autofind lets the cell use, without importing it, a package that loupe has been built with and does not use itself,
// unless %noautoget has been said.
func (r *run) autofind(items []*syntax.Item) {
	if !r.noAutoget {
		r.modules.FindFor(r.ctx, items, func(name string) bool {
			return r.ns.Bindings[name] != nil || r.ns.Imports[name] != "" || len(r.packages[name]) > 0
		})
	}
}

// Close removes what the evaluator has put on disk.
func (e *Evaluator) Close() error { return e.modules.Close() }

// inModule runs a command of the shell in the folder of the module of what the user has got, as GoNB's !* does. Cells
// can import what it adds to go.mod, and what a go.work that it makes uses.
func (r *run) inModule(line string) engine.Result {
	var result engine.Result
	err := r.modules.InFolder(r.ctx, func(dir string) bool {
		result = r.shellIn(dir, line)
		return result.Failure == nil
	})
	if err != nil {
		return magicFailure(err)
	}
	return result
}

// Preload imports packages, so that the first cell that uses them does not wait.
func (e *Evaluator) Preload(paths ...string) {
	for _, p := range paths {
		e.importer.Import(p) // one that is missing is told when a cell imports it
	}
}

// Names returns what cells have defined, sorted: what is lost with the worker.
func (e *Evaluator) Names() []string {
	e.turn.Lock()
	defer e.turn.Unlock()
	return e.ns.Names()
}

// Eval runs a cell. When ctx is cancelled it returns once the code has stopped, or is known to wait for what does not
// come.
func (e *Evaluator) Eval(ctx context.Context, c engine.Cell) engine.Result {
	t := &syntax.Text{Number: c.Number, Source: c.Source}
	e.turn.Lock()
	defer e.turn.Unlock()
	e.texts[c.Number] = t
	r := &run{Evaluator: e, ctx: ctx, text: t, begun: &cell.Run{Context: ctx}}
	r.begun.Begin()
	defer r.end()
	return r.everyPart()
}

// Call runs a function that a cell has left behind to be called, as a widget's callback is.
func (e *Evaluator) Call(ctx context.Context, f func()) *engine.Failure {
	e.turn.Lock()
	defer e.turn.Unlock()
	r := &run{Evaluator: e, ctx: ctx, text: &syntax.Text{}, begun: &cell.Run{Context: ctx}}
	r.begun.Begin()
	defer r.end()
	if !e.interp.busy {
		e.interp.trace.reset()
	}
	return r.start(f)
}

// run is one cell on its way.
type run struct {
	*Evaluator
	ctx   context.Context
	text  *syntax.Text
	begun *cell.Run
	force string // the tier that the cell asks for
	asks  asking // how the next command of the shell gets its standard input
	clock *clock // measures the cell's code, where it is not nil
	quiet bool   // nothing outside of the cells can wake its code
	raw   *[]any // takes the cell's values in place of the front end, where it is not nil
}

// eval takes the cell through the stages.
func (r *run) eval() engine.Result {
	if lexical.IsProgram(r.text.Source) {
		return r.program(r.fset)
	}
	r.text.Source = lexical.BlankPackageClause(r.text.Source)
	r.text.Past = outputs.Named(r.text.Source, r.ns)
	items, bad := syntax.Split(r.fset, r.text)
	if bad != nil {
		return failed(r.compileFailure([]syntax.Fault{{Text: r.text, Offset: bad.Offset, Message: bad.Message}}))
	}
	if wrong := r.outputs.Find(items, r.ns, r.earlierSource); wrong != nil {
		return failed(r.compileFailure([]syntax.Fault{*wrong}))
	}
	if len(items) == 0 {
		return engine.Result{}
	}
	if err := r.autoget(items); err != nil {
		return magicFailure(err)
	}
	if faults := syntax.FindEmbedded(r.text, items); len(faults) > 0 {
		return failed(r.compileFailure(faults))
	}
	items = syntax.InAnyOrder(items)
	r.autofind(items)
	checked, faults := r.checker.Cell(r.fset, items, r.ns, r.groups)
	if len(faults) > 0 {
		return failed(r.compileFailure(faults))
	}
	if checked == nil {
		return engine.Result{} // all of it is as it was
	}
	r.noteQuiet(checked)
	r.quiet = checked.Quiet
	choice := r.choose(checked)
	r.tier = choice
	if choice.interpreted {
		return r.interpret(checked)
	}
	return r.compile(checked, false)
}

// earlierSource is the source of an earlier cell, nil where there is none of a number.
func (r *run) earlierSource(number int) *string {
	t := r.texts[number]
	if t == nil || number < 1 || t == r.text {
		return nil
	}
	return &t.Source
}

// program runs a cell that is a whole file.
func (r *run) program(fset *token.FileSet) engine.Result {
	r.text.Source = r.modules.OfProgram(r.text.Source)
	items, faults := syntax.SplitProgram(fset, r.text)
	if len(faults) > 0 {
		return failed(r.compileFailure(faults))
	}
	if faults := syntax.FindEmbedded(r.text, items); len(faults) > 0 {
		return failed(r.compileFailure(faults))
	}
	checked, faults := r.checker.Program(fset, items, r.ns)
	if len(faults) > 0 {
		return failed(r.compileFailure(faults))
	}
	r.noteQuiet(checked)
	r.quiet = checked.Quiet
	r.tier = tierChoice{reason: "a program is compiled as it stands"}
	return r.compile(checked, true)
}

// compile compiles, loads and runs a checked cell.
func (r *run) compile(c *check.Checked, program bool) engine.Result {
	l, u := r.unit(c, program)
	main := cell.Main(u.Path)
	if main == nil {
		built, err := r.options.Toolchain.Build(r.ctx, u)
		if err != nil {
			return failed(r.buildFailure(err))
		}
		var unloaded error
		if f := r.start(func() { unloaded = r.load(built) }); f != nil {
			return failed(f)
		}
		if unloaded != nil {
			return failed(r.buildFailure(unloaded))
		}
		if main = cell.Main(u.Path); main == nil {
			return failed(&engine.Failure{Name: "CompileError", Message: "the compiled cell did not register itself"})
		}
	}
	l.Commit()
	before := r.ns
	r.ns = c.After
	maps.Copy(r.groups, c.Groups)
	r.own(c)
	r.begun.SetStep(0)
	if !r.interp.busy {
		r.interp.trace.reset() // the cell may call a function that is interpreted
	}
	if f := r.timed(func() *engine.Failure { return r.start(main) }); f != nil {
		r.takeBack(c, before)
		return failed(f)
	}
	return r.value(c)
}

// unit lowers a checked cell to the package that is compiled.
func (r *run) unit(c *check.Checked, program bool) (*lower.Lowering, toolchain.Unit) {
	u := &namespace.Unit{Number: r.text.Number}
	l := lower.Lower(c, u, program, true)
	files := l.Source()
	u.Path = "cells/" + r.unitName(files)
	r.units.Store(u.Path, c.Quiet)
	for name := range files {
		files[name] = []byte(strings.ReplaceAll(string(files[name]), lower.Placeholder, u.Path))
	}
	return l, toolchain.Unit{Path: u.Path, Files: files, Imports: l.ImportPaths(), Cgo: c.Cgo, Embed: c.AllEmbedded()}
}

// own notes that the functions of a cell have their bodies from it.
func (r *run) own(c *check.Checked) {
	r.swap.Lock()
	defer r.swap.Unlock()
	for o, slot := range c.Slots {
		if _, ok := o.(*types.Func); ok && slices.Contains(c.Declared, o) {
			r.owners[slot] = c
		}
	}
}

// compileBehind compiles the functions of an interpreted cell in the background. Their compiled bodies take the place
// of the interpreted ones, unless they have got others in the meantime.
func (r *run) compileBehind(c *check.Checked) {
	_, u := r.unit(c, false)
	r.behind.Go(func() {
		built, err := r.options.Toolchain.Build(context.Background(), u)
		if err != nil {
			return // the interpreted ones stay; a later cell that is compiled tells what is wrong with the compiler
		}
		r.swap.Lock()
		defer r.swap.Unlock()
		for _, o := range c.Declared {
			if r.owners[c.Slots[o]] != c {
				return
			}
		}
		if r.load(built) == nil {
			if main := cell.Main(u.Path); main != nil {
				main()
			}
		}
	})
}

// takeBack undoes the definitions that a cell did not come to: such a name means again what it meant before.
func (r *run) takeBack(c *check.Checked, before *namespace.Namespace) {
	for _, v := range c.Variables {
		if v.Step <= r.begun.Step() || v.Reused {
			continue
		}
		if b := r.ns.Bindings[v.Name]; b == nil || b.Slot != v.Slot {
			continue
		}
		if b := before.Bindings[v.Name]; b != nil {
			r.ns.Bindings[v.Name] = b
		} else {
			delete(r.ns.Bindings, v.Name)
		}
	}
}

// unitName makes the name of a cell's package out of what is in it.
func (r *run) unitName(files map[string][]byte) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d\n%s", name, len(files[name]), files[name])
	}
	return fmt.Sprintf("c%03d_%s", r.text.Number, hex.EncodeToString(h.Sum(nil)[:6]))
}

// buildFailure words what the compiler says about a cell that has passed the check.
func (r *run) buildFailure(err error) *engine.Failure {
	if r.ctx.Err() != nil {
		return interrupted()
	}
	var compile *toolchain.CompileError
	if !errors.As(err, &compile) {
		return &engine.Failure{Name: "CompileError", Message: err.Error(),
			Traceback: []string{red("CompileError") + ": " + err.Error()}}
	}
	return r.compileFailure(r.faultsOf(err, r.text))
}

// value makes the cell's result of what its last expression gave.
func (r *run) value(c *check.Checked) engine.Result {
	values, ok := r.begun.TakeShown()
	if !ok {
		return engine.Result{}
	}
	if r.raw != nil {
		*r.raw = values
		return engine.Result{}
	}
	if call := c.LastCall(); call != nil && len(values) > 1 {
		// The error that comes behind a call's values has failed the cell; a nil one says nothing.
		n := len(values) - 1
		if err, ok := values[n].(error); ok {
			line, column := lexical.Position(c.Last.Text.Source, c.Last.Offset(syntax.CalledAt(call)))
			return failed(r.failureAt("Error", panicMessage(err), []frame{{number: r.text.Number, line: line,
				column: column}}))
		}
		values = values[:n]
	}
	if len(values) == 0 || len(values) == 1 && values[0] == nil && c.GivesError() {
		return engine.Result{}
	}
	r.outputs.Remember(r.text.Number, c, values, r.ns)
	// A value's own methods are the cell's code as well.
	bundles := make([]mime.Bundle, len(values))
	for i, v := range values {
		deep := r.begun.Watch()
		f := r.start(func() { bundles[i] = r.options.Present(v) })
		switch {
		case deep():
			bundles[i] = mime.TextOf(peek.Silent(reflect.TypeOf(v), peek.Endless))
		case f != nil:
			return failed(f)
		}
	}
	b := bundles[0]
	if len(values) > 1 {
		parts := make([]string, len(values))
		for i := range bundles {
			parts[i] = bundles[i].Data[mime.Text]
		}
		b = mime.TextOf(strings.Join(parts, ", "))
	}
	return engine.Result{Value: &b}
}

// values runs the text and returns what its last expression gives.
func (r *run) values() ([]any, *engine.Failure) {
	var values []any
	r.raw = &values
	result := r.eval()
	return values, result.Failure
}

func failed(f *engine.Failure) engine.Result { return engine.Result{Failure: f} }

// faultsOf says where in the cells a tool has found something wrong.
func (e *Evaluator) faultsOf(err error, of *syntax.Text) []syntax.Fault {
	return check.FaultsOf(err, of, e.texts, lower.WithoutOwnNames)
}

// cgo has the go command translate C.
func (e *Evaluator) cgo(source string) (string, error) {
	return e.options.Toolchain.Cgo(context.Background(), source)
}
