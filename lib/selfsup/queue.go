package selfsup

import "github.com/gomlx/gomlx/core/graph"

// queued is a queue, [L, D], with the newest rows, [N, D], in front and as many of the oldest gone.
func queued(queue, newest *graph.Node) *graph.Node {
	d, n := queue.Shape().Dimensions, newest.Shape().Dimensions[0]
	if n >= d[0] {
		return graph.Slice(newest, graph.AxisRange(0, d[0]))
	}
	return graph.Concatenate([]*graph.Node{newest, graph.Slice(queue, graph.AxisRange(0, d[0]-n))}, 0)
}
