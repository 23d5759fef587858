package goeval

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/types"
	"io"
	"maps"
	"os"
	"path"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/traefik/yaegi/interp"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/lexical"
	"github.com/loupeml/loupe/kernel/goeval/lower"
	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// interpreter is the tier that starts at once.
type interpreter struct {
	yaegi    *interp.Interpreter
	exports  map[string]map[string]reflect.Value // import path to what yaegi knows of the package
	trace    *traceWriter
	imported map[string]string // name in yaegi to import path
	known    map[string]bool   // slots that yaegi knows
	musts    int               // how many functions that stop at errors yaegi has
	busy     bool              // a cell is being interpreted
}

func newInterpreter(options Options) *interpreter {
	in := &interpreter{trace: &traceWriter{}, exports: map[string]map[string]reflect.Value{},
		imported: map[string]string{}, known: map[string]bool{}}
	// Unrestricted, because cells run in a process of their own and expect its environment.
	in.yaegi = interp.New(interp.Options{Stdin: options.Stdin, Stdout: options.Stdout, Stderr: in.trace,
		Unrestricted: true})
	for _, symbols := range options.Symbols {
		if err := in.yaegi.Use(symbols); err != nil {
			panic(fmt.Sprintf("goeval: %v", err)) // the tables are compiled in: a fault of ours
		}
		for key, members := range symbols {
			in.exports[path.Dir(key)] = members
		}
	}
	in.use("Show", reflect.ValueOf(cell.Show))
	in.use("Set",
		reflect.ValueOf(func(key string, f any) { reflect.ValueOf(cell.Find(key)).Elem().Set(reflect.ValueOf(f)) }))
	if _, err := in.yaegi.Eval(fmt.Sprintf("import %s %q", lower.SlotPackage, lower.SlotPackage)); err != nil {
		panic(fmt.Sprintf("goeval: %v", err))
	}
	return in
}

func (in *interpreter) use(name string, v reflect.Value) {
	if err := in.yaegi.Use(interp.Exports{lower.SlotPackage + "/" + lower.SlotPackage: {name: v}}); err != nil {
		panic(fmt.Sprintf("goeval: %v", err))
	}
}

// mustFor returns the name of a function that gives back values, and panics with an error that comes behind them. The
// interpreter knows no generic functions of compiled packages, and its own traces tell lines wrongly: it gets a
// function for each place.
func (r *run) mustFor(n int, values []types.Type, at lower.MustPlace) string {
	var list []reflect.Type
	for _, v := range values {
		t, _ := r.reflectType(v) // chosen for the interpreter, which has the type
		list = append(list, t)
	}
	in := r.interp
	in.musts++
	name := lower.Mark + must.Name + strconv.Itoa(in.musts)
	in.use(name, reflect.MakeFunc(reflect.FuncOf(append(slices.Clone(list), errorReflectType), list, false),
		func(args []reflect.Value) []reflect.Value {
			if err, ok := args[n].Interface().(error); ok {
				in.trace.stopsAt(&frame{number: at.Cell, line: at.Line, function: at.Function})
				panic(err)
			}
			return args[:n]
		}))
	return lower.SlotPackage + "." + name
}

var errorReflectType = reflect.TypeFor[error]()

// cellType returns a type that a compiled cell has declared.
func (in *interpreter) cellType(u *namespace.Unit, name string) (reflect.Type, bool) {
	p := cell.TypeOf(u.Path, name)
	if p == nil {
		return nil, false
	}
	return reflect.TypeOf(p).Elem(), true
}

// interpret runs a checked cell item by item.
func (r *run) interpret(c *check.Checked) engine.Result {
	l := lower.Lower(c, &namespace.Unit{Number: r.text.Number}, false, false)
	in := r.interp
	l.MustFor = r.mustFor
	for _, v := range c.Variables {
		t, _ := r.reflectType(v.Object.Type())
		cell.Slot(v.Slot, reflect.New(t).Interface())
	}
	for _, o := range c.Declared {
		t, _ := r.funcType(o.Type().(*types.Signature))
		cell.Slot(c.Slots[o], reflect.New(t).Interface())
	}
	for _, it := range c.Items {
		l.Render(it, it.Start, it.End) // notes what is used
	}
	for key := range l.Used {
		if !in.known[key] {
			in.known[key] = true
			in.use(lower.Mark+lower.SlotName(key), reflect.ValueOf(cell.Find(key)))
		}
	}
	in.busy = true
	defer func() { in.busy = false }()
	programs, err := in.prepare(c, l)
	if err != nil {
		// What the interpreter does not take after all, the compiler does.
		r.tier = tierChoice{reason: "the interpreter refuses it: " + firstLine(err.Error())}
		return r.compile(c, false)
	}
	before := r.ns
	r.ns = c.After
	maps.Copy(r.groups, c.Groups)
	r.own(c)
	r.begun.SetStep(0)
	for _, p := range programs {
		if f := r.timed(func() *engine.Failure { return r.execute(p.program) }); f != nil {
			r.takeBack(c, before)
			return failed(f)
		}
		if step := c.Steps[p.item]; step > 0 {
			r.begun.SetStep(step)
		}
	}
	if len(c.Funcs) > 0 {
		r.compileBehind(c)
	}
	return r.value(c)
}

// prepared is an item that the interpreter has compiled.
type prepared struct {
	item    *syntax.Item
	program *interp.Program
}

// prepare has the interpreter compile all items, so that nothing has run if it refuses one.
func (in *interpreter) prepare(c *check.Checked, l *lower.Lowering) (programs []prepared, err error) {
	defer func() {
		// yaegi panics at some of what it does not know.
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
		if err != nil {
			// yaegi has counted the variables of what did not compile, and makes room for them when it runs again.
			in.yaegi.EvalWithContext(context.Background(), "0")
		}
	}()
	for name, p := range l.Imports {
		if in.imported[name] == p {
			continue
		}
		if _, err := in.yaegi.Eval(fmt.Sprintf("import %s %q", name, p)); err != nil {
			return nil, err
		}
		in.imported[name] = p
	}
	for _, it := range c.Items {
		if it.Kind == syntax.ImportItem {
			continue
		}
		text := l.Render(it, it.Start, it.End)
		if d, ok := it.Decl.(*ast.FuncDecl); ok {
			text = fmt.Sprintf("%s.Set(%q, func%s)", lower.SlotPackage, c.Slots[c.Info.Defs[d.Name]],
				l.Render(it, it.Offset(d.Type.Params.Pos()), it.End))
		}
		if it == c.Last {
			text = lower.SlotPackage + ".Show(" + text + ")"
		}
		line, column := lexical.Position(it.Text.Source, it.Start)
		// The name has the base _.go because yaegi keeps imports by the base name of the file.
		p, err := in.yaegi.Compile(fmt.Sprintf("\n//line c%d/_.go:%d:%d\n%s\n", it.Text.Number, line, column, text))
		if err != nil {
			return nil, err
		}
		programs = append(programs, prepared{it, p})
	}
	return programs, nil
}

// unwind is how long the code has after an interrupt to end by itself, before the interpreter stops it: what waits in
// a library or in time.Sleep ends at the interrupt, and the calls that the code has deferred then
// still run, which they would not once the interpreter has stopped.
const unwind = 30 * time.Millisecond

// execute runs what the interpreter has compiled and waits until it has really ended.
func (r *run) execute(p *interp.Program) *engine.Failure {
	if r.ctx.Err() != nil {
		return interrupted()
	}
	in := r.interp
	in.trace.reset()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.ctx))
	defer cancel()
	defer context.AfterFunc(r.ctx, func() {
		if interpreting() {
			cancel()
		} else {
			time.AfterFunc(unwind, cancel)
		}
	})()
	defer context.AfterFunc(r.ctx, r.begun.Stop)()
	defer r.stopsWork()()
	var err error
	r.outside(func() {
		r.begun.Enter()
		defer cell.Leave()
		_, err = in.yaegi.ExecuteWithContext(ctx, p)
	})
	if err == nil && r.ctx.Err() == nil {
		return nil
	}
	if r.ctx.Err() != nil {
		// However it has ended: an error that a library gave for the interrupt is the interrupt.
		awaitYaegi()
		return interrupted()
	}
	var panicked interp.Panic
	frames := in.trace.frames()
	if errors.As(err, &panicked) {
		return r.panicFailure(reflected(panicked.Value), frames)
	}
	if len(frames) > 0 {
		return r.failureAt("Panic", panicMessage(err), frames)
	}
	message := "the interpreter fails: " + firstLine(err.Error()) + "; put %%go before the cell to compile it"
	return &engine.Failure{Name: "InterpreterError", Message: message, Traceback: r.traceback("InterpreterError",
		message, nil)}
}

// reflected returns what was panicked with, in the words of compiled code: yaegi works through reflection.
func reflected(value any) any {
	if v, ok := value.(reflect.Value); ok && v.IsValid() && v.CanInterface() {
		value = v.Interface()
	}
	message := fmt.Sprint(value)
	if strings.HasPrefix(message, "reflect: call of") && strings.HasSuffix(message, "on zero Value") {
		return "runtime error: invalid memory address or nil pointer dereference"
	}
	return value
}

// theCode is the function whose goroutine runs what is interpreted.
const theCode = "interp.(*Interpreter).ExecuteWithContext.func1"

// interpreting reports whether the interpreter itself is at work, rather than something in a library that it has
// called.
func interpreting() bool {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if !strings.Contains(stack, theCode) {
			continue
		}
		lines := strings.Split(stack, "\n")
		return len(lines) > 1 && strings.Contains(lines[0], "[run") &&
			(strings.HasPrefix(lines[1], "github.com/traefik/yaegi/interp.") || strings.HasPrefix(lines[1], "reflect."))
	}
	return false
}

// awaitYaegi waits for the goroutine in which ExecuteWithContext runs the code: at a cancellation it returns
// at once, while the goroutine goes on until the compiled function that it may be in returns.
func awaitYaegi() {
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if !strings.Contains(string(stacks[:n]), theCode) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// traceWriter is yaegi's standard error. yaegi writes a line for each interpreted function that a panic
// leaves, with its position, which is the only way to learn it; other text goes on to the real one.
//
// Cells, callbacks and goroutines that they have left behind may panic at a time.
type traceWriter struct {
	mu    sync.Mutex // guards the fields below
	lines []string
	inner []frame // where the panic began, in compiled code
	at    *frame  // the place of the error that the code has stopped at, nil for other panics
}

func (w *traceWriter) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines, w.inner, w.at = nil, nil, nil
}

// stopsAt notes the place of an error that the code stops at.
func (w *traceWriter) stopsAt(at *frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = at
}

func (w *traceWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range strings.SplitAfter(string(p), "\n") {
		if at := strings.Index(line, ": panic"); at > 0 && framePattern.MatchString(line) {
			if w.lines == nil {
				// This is called from a deferred call of the goroutine that panics.
				pcs := make([]uintptr, 256)
				w.inner = framesOf(pcs[:runtime.Callers(1, pcs)])
			}
			w.lines = append(w.lines, line)
		} else if line != "" {
			if _, err := io.WriteString(os.Stderr, line); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

var framePattern = regexp.MustCompile(`^(?:c(-?\d+)/_\.go:)?(\d+):(\d+): panic(?:: ([^\n]*))?`)

func (w *traceWriter) frames() []frame {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Clone(w.inner)
	for _, line := range w.lines {
		m := framePattern.FindStringSubmatch(line)
		if m == nil || m[1] == "" {
			continue
		}
		var f frame
		f.number, _ = strconv.Atoi(m[1])
		f.line, _ = strconv.Atoi(m[2])
		out = append(out, f)
	}
	if w.at != nil && len(out) > 0 {
		out[0] = *w.at // the innermost
	}
	return out
}
