package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	gomlx "github.com/gomlx/gomlx/ml/model"
)

// Loop runs body a number of times within one device program, and returns the state after the last: attacks,
// masks that are learnt, diffusion. body gets the number of the round, an int32 scalar, and the state, and returns the
// next state, of the same shapes. The models that it calls, or differentiates, are named after it.
//
// The body sees nothing but its arguments: whatever it needs belongs to the state, changing or not. And GoMLX 0.28
// keeps one node for each scalar constant of a graph, which XLA lets only one function use. So do what
// comes before and after in programs of their own: a function given to [NewExec] that calls Loop does little else.
func Loop(times int, state []*graph.Node, body func(round *graph.Node, state []*graph.Node) []*graph.Node,
	models ...*Model) []*graph.Node {
	if len(state) == 0 || times < 0 {
		panic(fmt.Errorf("model: a loop takes a state and a number of rounds, not %d values and %d rounds",
			len(state), times))
	}
	g := state[0].Graph()
	end := func(g *graph.Graph, _ []*graph.Node) *graph.Node { return graph.Const(g, int32(times)) }
	return loop(graph.Const(g, int32(0)), end, state, body, models)
}

// LoopPart is [Loop] for the rounds from first on up to end (excluded), int32 scalars that are arguments of the
// program. So one program does a loop in parts of any size, between which the person can stop it.
func LoopPart(first, end *graph.Node, state []*graph.Node,
	body func(round *graph.Node, state []*graph.Node) []*graph.Node, models ...*Model) []*graph.Node {
	if len(state) == 0 {
		panic(fmt.Errorf("model: a loop takes a state"))
	}
	last := len(state) // the end travels with the state
	inner := func(round *graph.Node, s []*graph.Node) []*graph.Node {
		next := body(round, s[:last:last])
		if len(next) != last {
			panic(fmt.Errorf("model: the body of a loop returned %d values for a state of %d", len(next), last))
		}
		return append(next[:last:last], s[last])
	}
	limit := func(_ *graph.Graph, carried []*graph.Node) *graph.Node { return carried[1+last] }
	return loop(first, limit, append(state[:last:last], end), inner, models)[:last]
}

// loop counts from first up to what end gives of the round and the state.
func loop(first *graph.Node, end func(g *graph.Graph, carried []*graph.Node) *graph.Node, state []*graph.Node,
	body func(round *graph.Node, state []*graph.Node) []*graph.Node, models []*Model) []*graph.Node {
	g := state[0].Graph()
	s, ok := g.State(sidesKey{}).(*sides)
	if !ok {
		panic(fmt.Errorf("model: Loop works in graph functions run by model.NewExec"))
	}
	models = withParts(models)
	// The weights travel with the state.
	var names []string
	var variables []*gomlx.Variable
	carried := append([]*graph.Node{first}, state...)
	for _, m := range models {
		for _, name := range slices.Sorted(maps.Keys(m.weights)) {
			names = append(names, m.weightKey(name))
			carried = append(carried, m.weightIn(g, name))
		}
	}
	for _, m := range models {
		if m.store == nil {
			continue
		}
		for v := range m.store.IterVariables() {
			variables = append(variables, v)
			carried = append(carried, v.NodeValue(g))
		}
		m.passStore(g)
	}
	parameters := func() []*graph.Node {
		nodes := make([]*graph.Node, len(carried))
		for i, c := range carried {
			nodes[i] = graph.Parameter(g, fmt.Sprintf("carried%d", i), c.Shape())
		}
		return nodes
	}
	defer func() {
		if r := recover(); r != nil {
			if err, ok := r.(error); ok && strings.Contains(err.Error(), "not part of the function") {
				panic(fmt.Errorf("model: the body of a loop uses a value from outside, or a scalar constant that is used " +
					"outside too: make the value part of the state, and what is outside a program of its own"))
			}
			panic(r)
		}
	}()
	// The body comes first, so that the scalars that the model needs become the body's.
	run := graph.NewClosure(g, func(g *graph.Graph) []*graph.Node {
		inside := parameters()
		weights := inside[1+len(state):]
		outer := maps.Clone(s.byName)
		for i, name := range names {
			s.byName[name] = weights[i]
		}
		for i, v := range variables {
			v.SetNodeValue(weights[len(names)+i])
		}
		next := body(inside[0], inside[1:1+len(state)])
		s.byName = outer
		for i, v := range variables {
			v.SetNodeValue(carried[1+len(state)+len(names)+i])
		}
		if len(next) != len(state) {
			panic(fmt.Errorf("model: the body of a loop returned %d values for a state of %d", len(next), len(state)))
		}
		for i := range next {
			if !next[i].Shape().Equal(state[i].Shape()) {
				panic(fmt.Errorf("model: the body of a loop returned %s for value %d of the state, which is %s", next[i].Shape(), i,
					state[i].Shape()))
			}
		}
		round := graph.Add(inside[0], graph.Const(g, int32(1)))
		return append(append([]*graph.Node{round}, next...), weights...)
	})
	goOn := graph.NewClosure(g, func(g *graph.Graph) []*graph.Node {
		inside := parameters()
		return []*graph.Node{graph.LessThan(inside[0], end(g, inside))}
	})
	return graph.While(goOn, run, carried...)[1 : 1+len(state)]
}
