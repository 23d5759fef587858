package gradients

import "github.com/gomlx/gomlx/core/graph"

// Once returns x so that XLA keeps it in memory, and does not compute it again in every loop that needs it. Another
// value of the graph, of, is needed for it.
//
// XLA's compiler for CPUs puts all that is no matrix product into the loops that use it, and what several loops use it
// puts into each. That is right for a ReLU, but of a depthwise convolution it made up to six copies in the gradient of
// one layer. It leaves alone what is expensive, for which it takes a division. So x is divided by a one, of which it
// cannot know that it is; an optimization barrier would say it better, and is gone before loops are made.
func Once(x, of *graph.Node) *graph.Node {
	first := make([]graph.SliceAxisSpec, of.Rank())
	for i := range first {
		first[i] = graph.AxisRange(0, 1)
	}
	finite := graph.ConvertDType(graph.IsFinite(graph.StopGradient(graph.Reshape(graph.Slice(of, first...)))), x.DType())
	// no constants: GoMLX shares these between a loop's body and what is around it, which it must not
	return graph.Div(x, graph.Exp(graph.Sub(finite, finite)))
}
