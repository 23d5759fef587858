package gradients

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// GoMLX 0.28 has no gradient of these. Each can itself be differentiated.
func init() {
	register := func(gradient func(node, v *graph.Node, in []*graph.Node) []*graph.Node, types ...graph.NodeType) {
		for _, t := range types {
			if graph.VJPRegistration[t] != nil {
				continue
			}
			graph.VJPRegistration[t] = func(node *graph.Node, v []*graph.Node, _ shapes.Shape) []*graph.Node {
				return gradient(node, v[0], node.Inputs())
			}
		}
	}
	register(func(_, v *graph.Node, _ []*graph.Node) []*graph.Node { return []*graph.Node{v} }, graph.NodeTypeIdentity)
	// What is made of steps is flat between them.
	register(func(_, _ *graph.Node, in []*graph.Node) []*graph.Node { return make([]*graph.Node, len(in)) },
		graph.NodeTypeFloor, graph.NodeTypeCeil, graph.NodeTypeRound, graph.NodeTypeSign, graph.NodeTypeArgMinMax,
		graph.NodeTypeIsNaN, graph.NodeTypeIsFinite, graph.NodeTypeEqual, graph.NodeTypeNotEqual,
		graph.NodeTypeLessThan, graph.NodeTypeLessOrEqual, graph.NodeTypeGreaterThan, graph.NodeTypeGreaterOrEqual)
	register(func(_, v *graph.Node, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Mul(v, graph.Exp(in[0]))}
	}, graph.NodeTypeExpm1)
	register(func(node, v *graph.Node, _ []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Reverse(v, reversedAxes(node)...)}
	}, graph.NodeTypeReverse)
	// The angle of (x, y), of which y is the first input: dy is x and dx is -y, over x² + y².
	register(func(_, v *graph.Node, in []*graph.Node) []*graph.Node {
		y, x := in[0], in[1]
		by := graph.Div(v, graph.Add(graph.Square(x), graph.Square(y)))
		return []*graph.Node{summedTo(graph.Mul(by, x), y), summedTo(graph.Neg(graph.Mul(by, y)), x)}
	}, graph.NodeTypeAtan2)
	// a - b trunc(a/b)
	register(func(_, v *graph.Node, in []*graph.Node) []*graph.Node {
		a, b := in[0], in[1]
		times := graph.Div(graph.Sub(a, graph.Rem(a, b)), b)
		return []*graph.Node{summedTo(v, a), summedTo(graph.Neg(graph.Mul(v, times)), b)}
	}, graph.NodeTypeRem)
}

// reversedAxes are those of a Reverse, which GoMLX keeps to itself: see [Probe].
func reversedAxes(node *graph.Node) []int { return Numbers(Settings(node).FieldByName("axes")) }

// summedTo sums a value over the axes along which an operand was repeated, to the operand's shape.
func summedTo(v, operand *graph.Node) *graph.Node {
	to := operand.Shape().Dimensions
	if slices.Equal(v.Shape().Dimensions, to) {
		return v
	}
	if len(to) == 0 {
		return graph.ReduceAllSum(v)
	}
	var axes []int
	for i, d := range to {
		if d == 1 && v.Shape().Dimensions[i] > 1 {
			axes = append(axes, i)
		}
	}
	return graph.Reshape(graph.ReduceSum(v, axes...), to...)
}
