package graphops

import "github.com/gomlx/gomlx/core/graph"

// Unit brings the rows of x, [N, D], to length 1. A row of zeros stays one, with the gradient 0.
func Unit(x *graph.Node) *graph.Node {
	square := graph.ReduceAndKeep(graph.Square(x), graph.ReduceSum, -1)
	return graph.Div(x, graph.Sqrt(graph.MaxScalar(square, 1e-24)))
}
