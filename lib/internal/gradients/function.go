package gradients

import "github.com/gomlx/gomlx/core/graph"

// functionsKey is where a graph keeps the functions that it has, by their names.
type functionsKey struct{}

// Function is a graph's function of a name, whose body is made if it is not there.
func Function(g *graph.Graph, name string, body func(g *graph.Graph) []*graph.Node) *graph.Function {
	known, ok := g.State(functionsKey{}).(map[string]*graph.Function)
	if !ok {
		known = map[string]*graph.Function{}
		g.AttachState(functionsKey{}, known)
	}
	if known[name] == nil {
		known[name] = graph.NewFunction(g, name, body)
	}
	return known[name]
}
