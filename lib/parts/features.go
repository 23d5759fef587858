package parts

import (
	"github.com/gomlx/gomlx/core/graph"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// Masks are the softmax over the last axis of scores, [N, H, W, K], and of that the parts, or the background, class 0,
// too.
func Masks(scores *graph.Node, background bool) *graph.Node {
	masks := graph.Softmax(scores, -1)
	if background {
		return masks
	}
	return foreground(masks)
}

// foreground are all but the first channel.
func foreground(x *graph.Node) *graph.Node {
	return graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(1))
}

// Pooled brings masks, [N, H, W, K], to side x side places, [N, side, side, K]: place i is the mean of the rows from
// ⌊i·H/side⌋ up to ⌈(i+1)·H/side⌉, which overlap where side does not divide H, and so for columns. That is PyTorch's
// adaptive average pooling.
func Pooled(masks *graph.Node, side int) *graph.Node {
	d := masks.Shape().Dimensions
	mean := func(size int) *graph.Node {
		rows := make([][]float64, side)
		for i := range rows {
			rows[i] = make([]float64, size)
			from, to := i*size/side, ((i+1)*size+side-1)/side
			for p := from; p < to; p++ {
				rows[i][p] = 1 / float64(to-from)
			}
		}
		return graph.ConstAsDType(masks.Graph(), masks.DType(), rows)
	}
	x := graph.Einsum("nhwk,gh->ngwk", masks, mean(d[1]))
	return graph.Einsum("ngwk,vw->ngvk", x, mean(d[2]))
}

// little keeps the features of a part that is nowhere finite, as in the authors' code.
const little = 1e-6

// Boxes are five features of each part, [N, K-1, 5], of scores [N, H, W, K] with the background first. With m the
// part's mask, the softmax of the scores:
//
//   - its score: the mean of the part's scores over the foreground, which is the pixels weighted by
//     sigmoid(Σ_parts s - s_background);
//   - the centre of m, as a column and a row, from -1 at the first to nearly 1 at the last;
//   - the standard deviations of m along columns and rows, where a part of two pixels at both ends has nearly 1.
//
// Sums over m have 1e-6 added, so that a part that is nowhere has the middle.
func Boxes(scores *graph.Node) *graph.Node {
	d := scores.Shape().Dimensions
	parts := foreground(scores)
	background := graph.Slice(scores, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(0, 1))
	weight := graph.Sigmoid(graph.Sub(graph.ReduceAndKeep(parts, graph.ReduceSum, -1), background))
	weight = graph.Div(weight, graph.MaxScalar(graph.ReduceAndKeep(weight, graph.ReduceSum, 1, 2), little))
	features := []*graph.Node{graph.ReduceSum(graph.Mul(parts, weight), 1, 2)}

	masks := Masks(scores, false)
	mass := graph.AddScalar(graph.ReduceSum(masks, 1, 2), little) // [N, K-1]
	var centres, spreads []*graph.Node
	for _, axis := range []int{2, 1} { // columns, then rows
		size := d[axis]
		along := graph.AddScalar(graph.ReduceSum(masks, 3-axis), little) // [N, size, K-1]
		at := graph.ConvertDType(graph.Iota(scores.Graph(), shapes.Make(dtypes.Int32, 1, size, 1), 1), scores.DType())
		centre := graph.Div(graph.ReduceSum(graph.Mul(along, at), 1), mass)
		off := graph.Square(graph.Sub(at, graph.ExpandAxes(centre, 1)))
		spread := graph.Sqrt(graph.Div(graph.ReduceSum(graph.Mul(along, off), 1), mass))
		centres = append(centres, graph.AddScalar(graph.MulScalar(centre, 2/float64(size)), -1))
		spreads = append(spreads, graph.MulScalar(spread, 2/float64(size)))
	}
	return graph.Stack(append(append(features, centres...), spreads...), -1)
}
