package model

import "github.com/gomlx/gomlx/core/graph"

// once returns x, the result of a convolution by a kernel w [KH, KW, I, O], so that XLA keeps it in memory and does not compute
// it again in every loop that needs it.
//
// XLA's compiler for CPUs puts all that is no matrix product into the loops that use it, and what several loops use it puts into each. That is right for a ReLU,
// but of a depthwise convolution it made up to six copies in the gradient of one layer. It leaves
// alone what is expensive, for which it takes a division. So x is divided by ones, of which it cannot know that they are; an optimization barrier would
// say it better, and is gone before loops are made.
func once(x, w *graph.Node) *graph.Node {
	w = graph.StopGradient(graph.Slice(w, graph.AxisRange(0, 1), graph.AxisRange(0, 1), graph.AxisRange(0, 1)))
	return graph.Div(x, graph.Exp(graph.Sub(w, w))) // no constants: GoMLX shares these between a loop's body and what is around it, which it must not
}
