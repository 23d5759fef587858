package gradients

import (
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// XLA's gradient of max-pooling, select-and-scatter, takes some seven to twenty times as long on a CPU as the two loops
// here, which become vector instructions. The result is the same to the last bit: of equal maxima the first gets
// everything, as in PyTorch. (Not so with a NaN in a window. And of a window as long as the image on an axis, XLA takes
// another of equal ones.) What it cannot do, and windows so large that it gains nothing, are left to GoMLX.
func init() {
	graph.VJPRegistration[graph.NodeTypeReduceWindow] = func(node *graph.Node, v []*graph.Node,
		shape shapes.Shape) []*graph.Node {
		if p, ok := maxPoolOf(node); ok {
			return []*graph.Node{OnlyOnce(p.inputGradient(node.Inputs()[0], v[0]), "a max-pooling")}
		}
		return gomlxPoolGradient(node, v, shape)
	}
}

var gomlxPoolGradient = graph.VJPRegistration[graph.NodeTypeReduceWindow]

// maxPool is how a max-pooling was set up: the window on each axis.
type maxPool []poolAxis

type poolAxis struct {
	size, stride, before, after int // the last two are padding

	// covers is how many windows a value is in, at most.
	covers int
	// weight is what a place in a window counts on this axis in the window's numbering of its places.
	weight int
}

// maxPoolOf reads the settings of a max-pooling's node, which GoMLX keeps to itself: see [Probe]. Some are not ok for
// inputGradient.
func maxPoolOf(node *graph.Node) (p maxPool, ok bool) {
	if node.Type() != graph.NodeTypeReduceWindow {
		return nil, false
	}
	params := Settings(node)
	sizes, strides, paddings := params.FieldByName("windowDimensions"), params.FieldByName("strides"),
		params.FieldByName("paddings")
	p = make(maxPool, sizes.Len())
	places, numbers := 1, 1
	for i := len(p) - 1; i >= 0; i-- {
		a := poolAxis{size: int(sizes.Index(i).Int()), stride: 1}
		if strides.Len() > 0 {
			a.stride = int(strides.Index(i).Int())
		}
		if paddings.Len() > 0 {
			a.before, a.after = int(paddings.Index(i).Index(0).Int()), int(paddings.Index(i).Index(1).Int())
		}
		a.covers = (a.size + a.stride - 1) / a.stride
		a.weight = numbers
		places *= a.size
		numbers *= a.covers * a.stride
		p[i] = a
	}
	return p, compute.ReduceOpType(params.FieldByName("reductionType").Int()) == compute.ReduceOpMax &&
		node.DType().IsFloat() && places <= 100 && numbers < 1<<20 &&
		params.FieldByName("inputDilations").Len() == 0 && params.FieldByName("windowDilations").Len() == 0
}

// winners gives the number of the place that has the largest value of each window, the first of equal ones; windows is
// how many there are on each axis.
func (p maxPool) winners(x *graph.Node, windows []int) *graph.Node {
	g := x.Graph()
	first := graph.Zeros(g, shapes.Make(dtypes.Float32, windows...)) // a place that is in the image
	padding, sizes := make([]graph.PadAxis, len(p)), make([]int, len(p))
	for i, a := range p {
		padding[i], sizes[i] = graph.PadAxis{Start: a.before, End: a.after}, a.size
		if a.before > 0 {
			outside := make([]float32, windows[i])
			for o := range outside {
				outside[o] = float32(a.weight * min(max(a.before-o*a.stride, 0), a.size-1))
			}
			first = graph.Add(first, graph.Reshape(graph.Const(g, outside), alone(len(p), i, windows[i])...))
		}
	}
	x = padBy(x, math.Inf(-1), padding)
	var largest, winner *graph.Node
	each(sizes, func(at []int) {
		values, number := make([]graph.SliceAxisSpec, len(p)), 0
		for i, a := range p {
			values[i] = graph.AxisRange(at[i], at[i]+(windows[i]-1)*a.stride+1).Stride(a.stride)
			number += at[i] * a.weight
		}
		here := graph.Slice(x, values...)
		if largest == nil {
			largest, winner = here, first
			return
		}
		more := graph.GreaterThan(here, largest)
		largest = graph.Where(more, here, largest)
		winner = graph.Where(more, graph.Const(g, float32(number)), winner)
	})
	return winner
}

// inputGradient is the product of v with the derivative by the input x.
//
// A pixel is in at most covers windows on an axis, and in which ones, and where there, depends only on the rest that
// its position leaves when it is divided by the stride. So each axis is split in two, [blocks, stride], and for each of
// the windows of all pixels what comes back is taken where the pixel has won.
func (p maxPool) inputGradient(x, v *graph.Node) *graph.Node {
	g := x.Graph()
	winner := Once(p.winners(x, v.Shape().Dimensions), x)

	covers, edges := make([]int, len(p)), make([]graph.PadAxis, len(p))
	var blocks, apart, split, whole []int
	// of the places that the first windows have for a block's pixels
	numbers := graph.Zeros(g, shapes.Make(dtypes.Float32, alone(2*len(p), 0, 1)...))
	image := make([]graph.SliceAxisSpec, len(p))
	for i, a := range p {
		side := x.Shape().Dimensions[i]
		n := max((a.before+side+a.stride-1)/a.stride, v.Shape().Dimensions[i]) // the last windows may be in the padding
		blocks, apart, split, whole = append(blocks, n), append(apart, n, 1), append(split, n, a.stride),
			append(whole, n*a.stride)
		image[i] = graph.AxisRange(a.before, a.before+side)
		covers[i], edges[i] = a.covers, graph.PadAxis{Start: a.covers - 1, End: n - v.Shape().Dimensions[i]}
		if a.stride > 1 {
			rest := make([]float32, a.stride)
			for r := range rest {
				rest[r] = float32(r * a.weight)
			}
			numbers = graph.Add(numbers, graph.Reshape(graph.Const(g, rest), alone(2*len(p), 2*i+1, a.stride)...))
		}
	}
	winner, v = padBy(winner, -1, edges), padBy(v, 0, edges)
	var sum *graph.Node
	each(covers, func(at []int) {
		windows, number := make([]graph.SliceAxisSpec, len(p)), 0
		for i, a := range p {
			windows[i] = graph.AxisRange(at[i], at[i]+blocks[i])
			number += (a.covers - 1 - at[i]) * a.stride * a.weight
		}
		take := func(y *graph.Node) *graph.Node {
			return graph.BroadcastToDims(graph.Reshape(graph.Slice(y, windows...), apart...), split...)
		}
		won := graph.Equal(take(winner), graph.BroadcastToDims(graph.Add(numbers, graph.Const(g, float32(number))), split...))
		term := graph.Where(won, take(v), graph.Zeros(g, shapes.Make(v.DType(), split...)))
		if sum == nil {
			sum = term
		} else {
			sum = graph.Add(sum, term)
		}
	})
	return graph.Slice(graph.Reshape(sum, whole...), image...)
}

// padBy adds values before and after the axes. It has no gradient.
func padBy(x *graph.Node, value float64, padding []graph.PadAxis) *graph.Node {
	return graph.Pad(x, graph.ConstAsDType(x.Graph(), x.DType(), value), padding...)
}

// alone are dimensions of 1, but for one axis.
func alone(rank, axis, dimension int) []int {
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = 1
	}
	dims[axis] = dimension
	return dims
}

// each calls f for all combinations of numbers below n, in the order of an array's values.
func each(n []int, f func(at []int)) {
	at := make([]int, len(n))
	var from func(axis int)
	from = func(axis int) {
		if axis == len(n) {
			f(at)
			return
		}
		for at[axis] = range n[axis] {
			from(axis + 1)
		}
	}
	from(0)
}
