package model

import (
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// side is a value that a graph needs besides its arguments: a weight of a model.
type side struct {
	param *graph.Node
	value func() (*tensors.Tensor, error)
}

// sides collects the weights that a graph under construction uses. Weights are parameters of the
// compiled program and lie on the device once, however many programs use them.
type sides struct {
	list   []side
	byName map[string]*graph.Node
}

// sidesKey is where a graph made by [NewExec] keeps its sides.
type sidesKey struct{}

// weight returns the node of a weight in g, a parameter if g was made by [NewExec]. Other graphs
// know nothing of the weights to be passed with each call, so for them they become constants.
func weight(g *graph.Graph, name string, value *tensors.Tensor) *graph.Node {
	s, ok := g.State(sidesKey{}).(*sides)
	if !ok {
		return graph.ConstCachedTensor(g, value)
	}
	if node, ok := s.byName[name]; ok {
		return node
	}
	if !g.IsMainFunc() {
		panic(fmt.Errorf("model: weight %s is first used inside a loop: name the model to Loop", name))
	}
	node := graph.Parameter(g, name, value.Shape())
	s.byName[name] = node
	s.list = append(s.list, side{node, func() (*tensors.Tensor, error) { return value, nil }})
	return node
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

// NewExec compiles a graph function for the process's backend. fn takes and returns
// *graph.Node, any number of them, or []*graph.Node; it may take a *graph.Graph first. In it
// models are called with [Model.Call], and differentiated with graph.Gradient. Unlike
// graph.NewExec it has no type parameters, so that an interpreter can call it, and it passes the
// models' weights along with the arguments, so that they are not compiled into the program.
//
// A program is compiled at the first call with arguments of new shapes.
func NewExec(fn any) (*graph.Exec, error) {
	b, err := Backend()
	if err != nil {
		return nil, err
	}
	sig, err := signatureOf(fn)
	if err != nil {
		return nil, err
	}
	canonical := func(g *graph.Graph, inputs []*graph.Node) []*graph.Node {
		built.Add(1)
		g.AttachState(sidesKey{}, &sides{byName: map[string]*graph.Node{}})
		return sig.call(g, inputs)
	}
	exec, err := graph.NewExecCanonical(b, canonical, sig.inputs, sig.outputs, sig.takesGraph, sig.inputs < 0, sig.outputs < 0)
	if err != nil {
		return nil, fmt.Errorf("model: %s", firstLine(err))
	}
	exec.SetMaxCache(-1)
	exec.SetSideParamsHook(func(g *graph.Graph, buffers []compute.Buffer, donate []bool) error {
		s := g.State(sidesKey{}).(*sides)
		for _, side := range s.list {
			value, err := side.value()
			if err != nil {
				return err
			}
			handle := side.param.GetParameterHandle()
			if buffers[handle], err = value.Buffer(b, 0); err != nil {
				return err
			}
			donate[handle] = false
		}
		return nil
	})
	return exec, nil
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
		return signature{}, fmt.Errorf("model: %T is not a graph function: it takes and returns *graph.Node values or a []*graph.Node", fn)
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
