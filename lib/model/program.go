package model

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// Program is a graph function for the process's backend. It is compiled at the first call with arguments of new
// shapes, and again for none.
//
// A program of a model, made by [Model.Exec], is shared by all models of one architecture: each call passes the
// weights of the model that the program was asked of.
type Program struct {
	name  string
	fn    signature
	owner *Model // nil for one made by NewExec
	kept  bool   // under a key, for models with other weights too
	forms *forms
}

// forms are a program's compiled forms, by the shapes of its arguments.
type forms struct {
	mu sync.Mutex
	of map[string]*form // guarded by mu
}

// form is a program compiled for arguments of certain shapes.
type form struct {
	ready chan struct{} // closed when the fields below stand
	graph *graph.Graph
	sides []side
	err   error
}

// side is a value that a graph needs besides its arguments: a weight of a model.
type side struct {
	param graph.ParameterHandle
	// A weight of the program's owner is found again in whichever model calls: parts leads from the model to the one
	// that has the weight, through the members of ensembles.
	owned  bool
	parts  []int
	weight string
	// Others have one value for ever.
	value func() (*tensors.Tensor, error)
}

// sides collects the weights that a graph under construction uses. Weights are parameters of the
// compiled program and lie on the device once, however many programs use them.
type sides struct {
	owner  *Model
	kept   bool
	list   []side
	byName map[string]*graph.Node
	// numbered as they come, so that the names of parameters do not depend on what else the process has loaded
	models map[*Model]int
}

func newSides(owner *Model, kept bool) *sides {
	return &sides{owner: owner, kept: kept, byName: map[string]*graph.Node{}, models: map[*Model]int{}}
}

// sidesKey is where a graph made by [NewExec] keeps its sides.
type sidesKey struct{}

// weightKey is what a weight of a model is known by within a graph.
func (m *Model) weightKey(name string) string { return fmt.Sprintf("%d/%s", m.id, name) }

// weightIn returns the node of a weight in g, a parameter if g was made by [NewExec]. Other graphs
// know nothing of the weights to be passed with each call, so for them they become constants.
func (m *Model) weightIn(g *graph.Graph, name string) *graph.Node {
	value := m.weights[name]
	s, ok := g.State(sidesKey{}).(*sides)
	if !ok {
		return graph.ConstCachedTensor(g, value)
	}
	key := m.weightKey(name)
	if node, ok := s.byName[key]; ok {
		return node
	}
	if !g.IsMainFunc() {
		panic(fmt.Errorf("model: weight %s of %s is first used inside a loop: name the model to Loop", name, m.spec.Name))
	}
	number, known := s.models[m]
	if !known {
		number = len(s.models)
		s.models[m] = number
	}
	node := graph.Parameter(g, fmt.Sprintf("model%d/%s", number, name), value.Shape())
	s.byName[key] = node
	one := side{param: node.GetParameterHandle(), weight: name,
		value: func() (*tensors.Tensor, error) { return value, nil }}
	if s.owner != nil {
		if one.parts, one.owned = s.owner.pathTo(m); one.owned {
			one.value = nil // it would keep the weights of the first model alive
		} else if s.kept {
			panic(fmt.Errorf("model: a program of %s that is kept under a key calls another model, %s, whose weights it "+
				"would keep too: give a nil key, or Extend the model", s.owner.spec.Name, m.spec.Name))
		}
	}
	s.list = append(s.list, one)
	return node
}

// pathTo says through which members of ensembles another model is reached from this one.
func (m *Model) pathTo(part *Model) (path []int, found bool) {
	if m == part {
		return nil, true
	}
	for i, p := range m.parts {
		if path, found = p.pathTo(part); found {
			return append([]int{i}, path...), true
		}
	}
	return nil, false
}

// tensor is the side's value when owner calls.
func (s side) tensor(owner *Model) (*tensors.Tensor, error) {
	if !s.owned {
		return s.value()
	}
	for _, i := range s.parts {
		owner = owner.parts[i]
	}
	return owner.weights[s.weight], nil
}

// built counts the graphs that have been built for compilation.
var built atomic.Int64

// Compilations returns how many programs this process has compiled for graph functions. A loop that
// makes it grow with the data is compiling the same thing again and again.
func Compilations() int { return int(built.Load()) }

var (
	nodeType  = reflect.TypeFor[*graph.Node]()
	nodesType = reflect.TypeFor[[]*graph.Node]()
	graphType = reflect.TypeFor[*graph.Graph]()
)

// NewExec makes a program of a graph function. fn takes and returns
// *graph.Node, any number of them, or []*graph.Node; it may take a *graph.Graph first. In it
// models are called with [Model.Call], and differentiated with graph.Gradient. Unlike
// graph.NewExec it has no type parameters, so that an interpreter can call it, and it passes the
// models' weights along with the arguments, so that they are not compiled into the program.
//
// What fn captures is read when the program is compiled: to change it, make another program.
func NewExec(fn any) (*Program, error) {
	sig, err := signatureOf(fn)
	if err != nil {
		return nil, err
	}
	return &Program{name: "program", fn: sig, forms: &forms{of: map[string]*form{}}}, nil
}

// isValue reports whether a key is what it holds: that nothing in it can be changed behind its back, as what a pointer
// leads to can, or cannot be compared, as a slice in an interface.
func isValue(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if !isValue(v.Field(i)) {
				return false
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			if !isValue(v.Index(i)) {
				return false
			}
		}
	case reflect.Interface:
		return v.IsNil() || isValue(v.Elem())
	case reflect.Pointer, reflect.Func, reflect.Chan, reflect.Map, reflect.Slice, reflect.UnsafePointer:
		return false
	}
	return true
}

// interpretedCode is the code of all functions that reflection makes, as an interpreter does.
var interpretedCode = reflect.MakeFunc(reflect.TypeFor[func()](),
	func([]reflect.Value) []reflect.Value { return nil }).Pointer()

// programKey is what a model's program is kept under.
type programKey struct {
	settings any
	code     uintptr // of the graph function, so that two functions under equal settings are two programs
}

// Exec returns the compiled form of a graph function that belongs to the model. It is kept for all models of the same
// architecture under key, which must hold everything that shapes the graph besides the architecture and the shapes of
// the arguments: all settings that fn has captured. A key is a value of a struct type of its own with comparable
// fields, so that two families never share one:
//
//	type blurKey struct{ Radius int }
//	program, err := m.Exec(blurKey{radius}, func(x *graph.Node) *graph.Node { ... })
//
// With a nil key the program is not kept: hold on to it to call it again. That is the one to use where it is not sure
// that all is in the key. Nor is it kept where an interface in the key holds a pointer or a slice, whose contents may
// change.
func (m *Model) Exec(key, fn any) (*Program, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	sig, err := signatureOf(fn)
	if err != nil {
		return nil, err
	}
	p := &Program{name: "program", fn: sig, owner: m}
	if key == nil {
		p.forms = &forms{of: map[string]*form{}}
		return p, nil
	}
	t := reflect.TypeOf(key)
	if t.Kind() != reflect.Struct || t.Name() == "" || !t.Comparable() {
		return nil, fmt.Errorf("model: a program is kept under a value of a named struct type whose fields can be "+
			"compared, not under a %T: give nil to keep it yourself", key)
	}
	p.name = t.String()
	if !isValue(reflect.ValueOf(key)) {
		p.forms = &forms{of: map[string]*form{}}
		return p, nil
	}
	code := sig.fn.Pointer()
	if code == interpretedCode {
		return nil, fmt.Errorf("model: an interpreted function cannot be told from another one, so its program cannot be " +
			"kept under a key: give nil and keep it yourself, or put %%%%go at the top of the cell")
	}
	p.kept = true
	from := &m.programs
	if m.store != nil {
		from = m.own // its variables are no weights that could be exchanged
	}
	p.forms = from.find(programKey{key, code})
	return p, nil
}

// programSet are programs that are kept under keys.
type programSet struct {
	mu sync.Mutex
	of map[programKey]*forms // guarded by mu
}

func (p *programSet) find(key programKey) *forms {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = map[programKey]*forms{}
	}
	f := p.of[key]
	if f == nil {
		f = &forms{of: map[string]*form{}}
		p.of[key] = f
	}
	return f
}

// Call runs the program. Arguments are tensors or Go values (numbers, slices of them, slices of slices). A tensor in
// Go's memory is copied to the device for this call; one that is on the device is used where it is, so that a loop
// keeps its state there, and results are on the device until they are read. [Free] gives back what is not needed any
// more.
func (p *Program) Call(args ...any) ([]*tensors.Tensor, error) {
	b, err := backend.Get()
	if err != nil {
		return nil, err
	}
	if p.fn.inputs >= 0 && len(args) != p.fn.inputs {
		return nil, fmt.Errorf("model: the graph function takes %d arguments, not %d", p.fn.inputs, len(args))
	}
	values := make([]*tensors.Tensor, len(args))
	for i, arg := range args {
		t, ok := arg.(*tensors.Tensor)
		if ok {
			if err := t.CheckValid(); err != nil {
				return nil, fmt.Errorf("model: argument %d of a program is no valid tensor: %s", i, failure.FirstLine(err))
			}
		} else if t, err = tensors.FromAnyValue(arg); err != nil {
			return nil, fmt.Errorf("model: argument %d of a program is a %T: %s", i, arg, failure.FirstLine(err))
		}
		values[i] = t
	}
	f, err := p.form(b, values)
	if err != nil {
		return nil, err
	}
	buffers, donate := make([]compute.Buffer, f.graph.NumParameters()), make([]bool, f.graph.NumParameters())
	for i, t := range values {
		if t.IsOnAnyDevice() {
			buffers[i], err = t.Buffer(b, 0)
		} else {
			// A copy that the device may write over, and that is gone after the call.
			err = t.ConstFlatData(func(flat any) {
				var inner error
				if buffers[i], inner = b.BufferFromFlatData(0, flat, t.Shape()); inner != nil {
					panic(inner)
				}
			})
			donate[i] = true
		}
		if err != nil {
			return nil, fmt.Errorf("model: %s", failure.FirstLine(err))
		}
	}
	for _, s := range f.sides {
		value, err := s.tensor(p.owner)
		if err != nil {
			return nil, fmt.Errorf("model: %s", failure.FirstLine(err))
		}
		if buffers[s.param], err = value.Buffer(b, 0); err != nil {
			return nil, fmt.Errorf("model: %s", failure.FirstLine(err))
		}
	}
	for i, buffer := range buffers {
		if buffer == nil {
			return nil, fmt.Errorf(
				"model: parameter %q of the program has no value: a graph function makes no parameters of its own",
				f.graph.GetParameterByHandle(graph.ParameterHandle(i)).GetParameterName())
		}
	}
	var results []*tensors.Tensor
	done := interrupt.Busy("running " + p.label())
	err = failure.Catch(func() { results = f.graph.RunWithBuffers(buffers, donate, 0) })
	done()
	if err != nil {
		return nil, err
	}
	runtime.KeepAlive(values) // their buffers were in use
	return results, nil
}

// Call1 is [Program.Call] for a program with one result.
func (p *Program) Call1(args ...any) (*tensors.Tensor, error) {
	results, err := p.Call(args...)
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("model: the program has %d results, not one", len(results))
	}
	return results[0], nil
}

// Finalize gives back what has been compiled, for a program that is not needed any more. A later call compiles again.
func (p *Program) Finalize() {
	p.forms.mu.Lock()
	all := p.forms.of
	p.forms.of = map[string]*form{}
	p.forms.mu.Unlock()
	for _, f := range all {
		if <-f.ready; f.graph != nil {
			f.graph.Finalize()
		}
	}
}

// form finds or compiles the form for the shapes of these arguments. Two callers at once wait for one compilation.
func (p *Program) form(b compute.Backend, args []*tensors.Tensor) (*form, error) {
	var key strings.Builder
	for _, t := range args {
		fmt.Fprintf(&key, "%s;", t.Shape())
	}
	p.forms.mu.Lock()
	f := p.forms.of[key.String()]
	if f != nil {
		p.forms.mu.Unlock()
		<-f.ready
		return f, f.err
	}
	f = &form{ready: make(chan struct{})}
	p.forms.of[key.String()] = f
	p.forms.mu.Unlock()
	whole := false
	defer func() {
		if f.err != nil || !whole {
			// The next call tries again: the cause may be gone, and a graph function may panic.
			p.forms.mu.Lock()
			delete(p.forms.of, key.String())
			p.forms.mu.Unlock()
			if f.err == nil {
				f.err = fmt.Errorf("model: the graph function panicked")
			}
		}
		close(f.ready)
	}()
	f.err = p.compile(b, f, args)
	whole = true
	return f, f.err
}

func (p *Program) compile(b compute.Backend, f *form, args []*tensors.Tensor) error {
	built.Add(1)
	g := graph.NewGraph(b, p.name)
	s := newSides(p.owner, p.kept)
	g.AttachState(sidesKey{}, s)
	err := failure.Catch(func() {
		inputs := make([]*graph.Node, len(args))
		for i, t := range args {
			inputs[i] = graph.Parameter(g, fmt.Sprintf("argument%d", i), t.Shape())
		}
		outputs := p.fn.call(g, inputs)
		if p.fn.outputs >= 0 && len(outputs) != p.fn.outputs {
			panic(fmt.Errorf("model: the graph function returned %d results, not %d", len(outputs), p.fn.outputs))
		}
		if len(outputs) == 0 {
			panic(fmt.Errorf("model: the graph function returned nothing"))
		}
		for i, out := range outputs {
			if out == nil {
				panic(fmt.Errorf("model: result %d of the graph function is nil", i))
			}
		}
		// XLA cannot be stopped half way, nor asked how far it is.
		about := compileTime(g)
		defer interrupt.Busy("compiling " + p.label())()
		defer progress.Wait(p.label()+": compiling", about)()
		started := time.Now()
		if err := g.Compile(outputs...); err != nil {
			panic(err)
		}
		learnCompileTime(g, time.Since(started))
	})
	if err != nil {
		g.Finalize()
		return err
	}
	f.graph, f.sides = g, s.list
	return nil
}

func (p *Program) String() string { return "a compiled program of " + p.label() }

// label says in words whose program it is.
func (p *Program) label() string {
	if p.owner != nil {
		return p.owner.spec.Name
	}
	return "a graph function"
}

// nodeTime is what a node of a graph has taken to compile by experience, in nanoseconds. The start is
// EfficientNet-Lite0 on two cores.
var nodeTime atomic.Int64

func init() { nodeTime.Store(int64(1500 * time.Microsecond)) }

// compileTime is about how long a graph will take to compile.
func compileTime(g *graph.Graph) time.Duration {
	return time.Duration(int64(len(g.Nodes())) * nodeTime.Load())
}

// learnCompileTime notes how long one took. Those that were on disk, or are small, say nothing.
func learnCompileTime(g *graph.Graph, took time.Duration) {
	if each := int64(took) / int64(len(g.Nodes())); took > time.Second {
		nodeTime.Store((nodeTime.Load() + each) / 2)
	}
}

// Free gives the memory of tensors back now, on the device and in Go, instead of when Go's collector comes by, which
// does not see how large they are on a device. Nil, and what has been given back before, is left alone.
func Free(all ...*tensors.Tensor) {
	for _, t := range all {
		if t != nil {
			t.MustFinalizeAll()
		}
	}
}

// PlaceRows puts the rows lo to hi (excluded) of a tensor on the device, filled up to size rows by copies of the
// last, so that a loop which gives them to a program again and again copies them there once. [Free] gives them back;
// t itself stays where it is.
func PlaceRows(t *tensors.Tensor, lo, hi, size int) (*tensors.Tensor, error) {
	b, err := backend.Get()
	if err != nil {
		return nil, err
	}
	part, err := rows.Take(t, lo, hi, size)
	if err == nil && part == t {
		part, err = t.LocalClone()
	}
	if err == nil {
		err = part.ToDevice(b, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("model: %s", failure.FirstLine(err))
	}
	return part, nil
}

// signature is what a graph function takes and gives; a count of -1 stands for a slice.
type signature struct {
	fn              reflect.Value
	takesGraph      bool
	inputs, outputs int
}

func signatureOf(fn any) (signature, error) {
	v := reflect.ValueOf(fn)
	wrong := func() (signature, error) {
		return signature{},
			fmt.Errorf("model: %T is not a graph function: it takes and returns *graph.Node values or a []*graph.Node", fn)
	}
	if fn == nil || v.Kind() != reflect.Func || v.Type().IsVariadic() {
		return wrong()
	}
	t := v.Type()
	s := signature{fn: v}
	first := 0
	if t.NumIn() > 0 && t.In(0) == graphType {
		s.takesGraph, first = true, 1
	}
	switch {
	case t.NumIn() == first+1 && t.In(first) == nodesType:
		s.inputs = -1
	default:
		for i := first; i < t.NumIn(); i++ {
			if t.In(i) != nodeType {
				return wrong()
			}
		}
		s.inputs = t.NumIn() - first
	}
	switch {
	case t.NumOut() == 1 && t.Out(0) == nodesType:
		s.outputs = -1
	default:
		for i := range t.NumOut() {
			if t.Out(i) != nodeType {
				return wrong()
			}
		}
		s.outputs = t.NumOut()
	}
	if s.outputs == 0 || (s.inputs == 0 && !s.takesGraph) {
		return wrong()
	}
	return s, nil
}

func (s signature) call(g *graph.Graph, inputs []*graph.Node) []*graph.Node {
	var args []reflect.Value
	if s.takesGraph {
		args = append(args, reflect.ValueOf(g))
	}
	if s.inputs < 0 {
		args = append(args, reflect.ValueOf(inputs))
	} else {
		for _, in := range inputs {
			args = append(args, reflect.ValueOf(in))
		}
	}
	results := s.fn.Call(args)
	if s.outputs < 0 {
		return results[0].Interface().([]*graph.Node)
	}
	nodes := make([]*graph.Node, len(results))
	for i, r := range results {
		nodes[i] = r.Interface().(*graph.Node)
	}
	return nodes
}
