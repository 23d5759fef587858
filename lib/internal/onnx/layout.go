package onnx

import (
	"slices"

	"github.com/gomlx/gomlx/core/graph"
)

// ONNX has channels behind the images' axis, [N, C, H, W]. XLA's CPU compiler and loupe's kernels want them last, and a
// value that is computed in the one order and used in the other is copied number by number, with all that XLA has fused
// with the copy. So what has four axes is computed with channels last where that can be, and turned around for
// what wants it otherwise. Turned around twice is not turned at all.

// lastAxis are the places of ONNX's axes where channels are last.
var lastAxis = [4]int{0, 3, 1, 2}

// first turns a value with channels last, [N, H, W, C], to [N, C, H, W], and notes what it was made of.
func (b *builder) first(last *graph.Node) *graph.Node {
	x := graph.TransposeAllAxes(last, 0, 3, 1, 2)
	if b.lasts == nil {
		b.lasts = map[*graph.Node]*graph.Node{}
	}
	b.lasts[x] = last
	return x
}

// last is a value of four axes with channels last.
func (b *builder) last(x *graph.Node) *graph.Node {
	if l := b.lasts[x]; l != nil {
		return l
	}
	return graph.TransposeAllAxes(x, 0, 2, 3, 1)
}

// through has all that is made of a value go by way of it, with channels first, so that it has a gradient. Who compiles
// it turns it back and forth no more than else.
func (b *builder) through(x *graph.Node) {
	if b.isTurned(x) {
		b.lasts[x] = graph.TransposeAllAxes(x, 0, 2, 3, 1)
	}
}

// isTurned tells whether a value has been computed with channels last.
func (b *builder) isTurned(x *graph.Node) bool { return b.lasts[x] != nil }

// anyTurned tells the same of some values, of which none has more axes than an image.
func (c *call) anyTurned() bool {
	turned := false
	for i, v := range c.in {
		if v == nil {
			continue
		}
		if len(c.dims(i)) > 4 {
			return false
		}
		turned = turned || v.node != nil && c.isTurned(v.node)
	}
	return turned
}

// along is a value as it goes along one with channels last, by ONNX's rule of broadcasting.
func (c *call) along(x *graph.Node) *graph.Node {
	switch x.Rank() {
	case 0:
		return x
	case 4:
		return c.last(x)
	}
	return graph.TransposeAllAxes(graph.ExpandLeftToRank(x, 4), 0, 2, 3, 1)
}

// numberwise says of operators that they treat the numbers at each place by themselves. They are computed with
// channels last where one of their inputs is.
func numberwise(names string) { each(names, func(o *operation) { o.numberwise = true }) }

// onLast applies what does not ask where channels are.
func (c *call) onLast(x *graph.Node, f func(x *graph.Node) *graph.Node) *graph.Node {
	if c.isTurned(x) {
		return c.first(f(c.last(x)))
	}
	return f(x)
}

// alongAxes are a vector's axes, of which the one given is its own.
func alongAxes(v *graph.Node, axis, rank int) *graph.Node {
	dims := slices.Repeat([]int{1}, rank)
	dims[axis] = v.Shape().Size()
	return graph.Reshape(v, dims...)
}
