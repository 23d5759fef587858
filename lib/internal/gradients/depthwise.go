package gradients

import (
	"slices"

	"github.com/gomlx/gomlx/core/graph"
)

// ShiftedSum is what [Depthwise] was called with.
type ShiftedSum struct {
	X, W    *graph.Node
	Stride  int
	Padding [2][2]int
}

// shiftedKey is where a graph keeps its shifted sums, by their results.
type shiftedKey struct{}

// ShiftedSumOf tells of the result of [Depthwise] what it is made of, for who reads the graph and is to see it as the
// one step that it is.
func ShiftedSumOf(node *graph.Node) (s ShiftedSum, ok bool) {
	noted, _ := node.Graph().State(shiftedKey{}).(map[*graph.Node]ShiftedSum)
	s, ok = noted[node]
	return s, ok
}

// note takes note of a shifted sum.
func (s ShiftedSum) note(result *graph.Node) {
	g := result.Graph()
	noted, ok := g.State(shiftedKey{}).(map[*graph.Node]ShiftedSum)
	if !ok {
		noted = map[*graph.Node]ShiftedSum{}
		g.AttachState(shiftedKey{}, noted)
	}
	noted[result] = s
}

// Depthwise convolves every channel of x, [N, H, W, C], by its own kernel, w [KH, KW, 1, C].
//
// It is a sum of shifted copies of x, one a kernel position, each scaled by a channel's
// weight. XLA fuses the sum into one loop, which on a CPU is several times faster than its grouped convolution.
func Depthwise(x, w *graph.Node, stride int, padding [2][2]int) *graph.Node {
	in, kernel, whole := x.Shape().Dimensions, w.Shape().Dimensions, x
	x = ZeroPad(ZeroPad(x, 1, padding[0]), 2, padding[1])
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
	ShiftedSum{whole, w, stride, padding}.note(sum)
	return sum
}

// DepthwiseBothWays is [Depthwise] with a gradient by x that is as fast: the depthwise convolution of what comes back,
// spread out by the stride, with the kernel turned around. The gradient of the sum itself would be a sum of padded
// copies, one a kernel position, each of which XLA asks at every pixel whether it is inside: several times slower.
//
// GoMLX takes a gradient of one's own for an identity only. So x is held still in the convolution, and a corner of it
// as large as the result, less itself, is added: nothing, by way of which all that comes back reaches x.
func DepthwiseBothWays(x, w *graph.Node, stride int, padding [2][2]int) *graph.Node {
	in, kernel := x.Shape().Dimensions, w.Shape().Dimensions
	var out [2]int
	for a := range out {
		out[a] = outputSide(in[1+a], kernel[a], stride, padding[a])
		if out[a] > in[1+a] || padding[a][0] >= kernel[a] || padding[a][1] >= kernel[a] {
			return Depthwise(x, w, stride, padding) // the result would not fit in, or has pixels of padding alone
		}
	}
	corner := func(x *graph.Node) *graph.Node {
		return graph.Slice(x, graph.AxisRange(), graph.AxisRange(0, out[0]), graph.AxisRange(0, out[1]))
	}
	const what = "a depthwise convolution"
	w = graph.IdentityWithCustomGradient(w, func(_, v *graph.Node) *graph.Node { return OnlyOnce(v, what) })
	way := corner(graph.IdentityWithCustomGradient(x, func(_, v *graph.Node) *graph.Node {
		v = corner(v)
		var around [2][2]int
		for a := range around {
			span := (out[a]-1)*stride + 1
			around[a][0] = kernel[a] - 1 - padding[a][0]
			around[a][1] = in[1+a] + kernel[a] - 1 - around[a][0] - span
		}
		v = SpreadOut(SpreadOut(v, 1, stride), 2, stride)
		return OnlyOnce(Depthwise(v, graph.Reverse(w, 0, 1), 1, around), what)
	}))
	y := graph.Add(Depthwise(graph.StopGradient(x), w, stride, padding), graph.Sub(way, graph.StopGradient(way)))
	return Once(y, w)
}

// outputSide is the length of a side of a convolution's result.
func outputSide(in, kernel, stride int, padding [2]int) int {
	return (in+padding[0]+padding[1]-kernel)/stride + 1
}

// SpreadOut puts stride-1 zeros between the values along an axis.
func SpreadOut(x *graph.Node, axis, stride int) *graph.Node {
	if stride == 1 {
		return x
	}
	dims := x.Shape().Dimensions
	apart := append(append([]int(nil), dims[:axis+1]...), append([]int{1}, dims[axis+1:]...)...)
	wide := append([]int(nil), dims...)
	wide[axis] *= stride
	x = graph.Reshape(ZeroPad(graph.Reshape(x, apart...), axis+1, [2]int{0, stride - 1}), wide...)
	return graph.SliceAxis(x, axis, graph.AxisRange(0, wide[axis]-stride+1))
}

// ZeroPad adds zeros before and after one axis. graph.Pad does so faster but has no gradient.
func ZeroPad(x *graph.Node, axis int, padding [2]int) *graph.Node {
	zeros := func(n int) *graph.Node {
		dims := slices.Clone(x.Shape().Dimensions)
		dims[axis] = n
		// None of the scalars that GoMLX keeps for a graph: they belong to the function that had them first.
		return graph.BroadcastToDims(graph.ConstAsDType(x.Graph(), x.DType(), 0.0), dims...)
	}
	var parts []*graph.Node
	if padding[0] > 0 {
		parts = append(parts, zeros(padding[0]))
	}
	parts = append(parts, x)
	if padding[1] > 0 {
		parts = append(parts, zeros(padding[1]))
	}
	if len(parts) == 1 {
		return x
	}
	return graph.Concatenate(parts, axis)
}
