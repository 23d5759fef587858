package model

import (
	"github.com/gomlx/gomlx/core/graph"
)

// shiftedSum is what depthwise was called with.
type shiftedSum struct {
	x, w    *graph.Node
	stride  int
	padding [2][2]int
}

// depthwise convolves every channel of x, [N, H, W, C], by its own kernel, w [KH, KW, 1, C].
//
// It is a sum of shifted copies of x, one a kernel position, each scaled by a channel's
// weight. XLA fuses the sum into one loop, which on a CPU is several times faster than its grouped convolution.
func depthwise(x, w *graph.Node, stride int, padding [2][2]int) *graph.Node {
	in, kernel := x.Shape().Dimensions, w.Shape().Dimensions
	x = zeroPad(zeroPad(x, 1, padding[0]), 2, padding[1])
	var span [2]int
	for a := range span {
		span[a] = (outputSide(in[1+a], kernel[a], stride, padding[a])-1)*stride + 1
	}
	var sum *graph.Node
	for i := range kernel[0] {
		for j := range kernel[1] {
			shifted := graph.Slice(x, graph.AxisRange(),
				graph.AxisRange(i, i+span[0]).Stride(stride),
				graph.AxisRange(j, j+span[1]).Stride(stride))
			term := graph.Mul(shifted, graph.Slice(w, graph.AxisRange(i, i+1), graph.AxisRange(j, j+1)))
			if sum == nil {
				sum = term
			} else {
				sum = graph.Add(sum, term)
			}
		}
	}
	return sum
}

// depthwiseBothWays is depthwise with a gradient by x that is as fast: the depthwise convolution of what comes back, spread out by the
// stride, with the kernel turned around. The gradient of the sum itself would be a sum of padded copies, one a kernel position, each of which XLA asks
// at every pixel whether it is inside: several times slower.
//
// GoMLX takes a gradient of one's own for an identity only. So x is held still in the convolution, and a corner of it as large as the result,
// less itself, is added: nothing, by way of which all that comes back reaches x.
func depthwiseBothWays(x, w *graph.Node, stride int, padding [2][2]int) *graph.Node {
	in, kernel := x.Shape().Dimensions, w.Shape().Dimensions
	var out [2]int
	for a := range out {
		out[a] = outputSide(in[1+a], kernel[a], stride, padding[a])
		if out[a] > in[1+a] || padding[a][0] >= kernel[a] || padding[a][1] >= kernel[a] {
			return depthwise(x, w, stride, padding) // the result would not fit in, or has pixels of padding alone
		}
	}
	corner := func(x *graph.Node) *graph.Node {
		return graph.Slice(x, graph.AxisRange(), graph.AxisRange(0, out[0]), graph.AxisRange(0, out[1]))
	}
	const what = "a depthwise convolution"
	w = graph.IdentityWithCustomGradient(w, func(_, v *graph.Node) *graph.Node { return onlyOnce(v, what) })
	way := corner(graph.IdentityWithCustomGradient(x, func(_, v *graph.Node) *graph.Node {
		v = corner(v)
		var around [2][2]int
		for a := range around {
			span := (out[a]-1)*stride + 1
			around[a][0] = kernel[a] - 1 - padding[a][0]
			around[a][1] = in[1+a] + kernel[a] - 1 - around[a][0] - span
		}
		v = spreadOut(spreadOut(v, 1, stride), 2, stride)
		return onlyOnce(depthwise(v, graph.Reverse(w, 0, 1), 1, around), what)
	}))
	y := graph.Add(depthwise(graph.StopGradient(x), w, stride, padding), graph.Sub(way, graph.StopGradient(way)))
	return once(y, w)
}

// outputSide is the length of a side of a convolution's result.
func outputSide(in, kernel, stride int, padding [2]int) int {
	return (in+padding[0]+padding[1]-kernel)/stride + 1
}

// spreadOut puts stride-1 zeros between the values along an axis.
func spreadOut(x *graph.Node, axis, stride int) *graph.Node {
	if stride == 1 {
		return x
	}
	dims := x.Shape().Dimensions
	apart := append(append([]int(nil), dims[:axis+1]...), append([]int{1}, dims[axis+1:]...)...)
	wide := append([]int(nil), dims...)
	wide[axis] *= stride
	x = graph.Reshape(zeroPad(graph.Reshape(x, apart...), axis+1, [2]int{0, stride - 1}), wide...)
	return graph.SliceAxis(x, axis, graph.AxisRange(0, wide[axis]-stride+1))
}
