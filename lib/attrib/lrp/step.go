package lrp

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/dataflow"
	"github.com/loupeml/loupe/lib/internal/graphops"
)

// step says how the relevance of a value comes to the values that it was computed from.
type step struct {
	// from are those values. What lies between them and the value is stepped over.
	from []*graph.Node
	// between are values stepped over whose relevance is that of the value, element by element.
	between []*graph.Node
	// layer is the layer whose output the value is, and whose rule is to be applied; from is then its input.
	layer *Layer
	// back is what is done where there is no layer: it gives the relevance of each of from.
	back func(relevance *graph.Node, stabilizer float64) []*graph.Node
}

// rearranges are the operations that only move values around, copy them or leave some out, and those that choose
// one of several: relevance goes back the way that the values came, as a gradient does.
var rearranges = map[graph.NodeType]bool{
	graph.NodeTypeReshape: true, graph.NodeTypeTranspose: true, graph.NodeTypeSlice: true, graph.NodeTypeConcatenate: true,
	graph.NodeTypeBroadcastInDim: true, graph.NodeTypeGather: true, graph.NodeTypeDynamicSlice: true,
	graph.NodeTypeDynamicUpdateSlice: true, graph.NodeTypeScatterSum: true,
}

var chooses = map[graph.NodeType]bool{
	graph.NodeTypeMax: true, graph.NodeTypeMin: true, graph.NodeTypeWhere: true, graph.NodeTypeReduceMax: true,
	graph.NodeTypeReduceMin: true, graph.NodeTypeReduceWindow: true,
}

// step returns the step at a live node that is not the image.
func (n *network) step(node *graph.Node) *step {
	if s := n.steps[node]; s != nil {
		return s
	}
	s := n.newStep(node)
	n.steps[node] = s
	return s
}

func (n *network) newStep(node *graph.Node) *step {
	// Sums and products of a value and what was computed from it alone, such as x·sigmoid(x), are activations.
	live := n.LiveInputs(node)
	if p := n.Parents[node]; p != nil && len(live) > 1 {
		return passes(p)
	}
	if layer, between := n.layerAt(node); layer != nil {
		return &step{from: []*graph.Node{layer.In}, layer: layer, between: between}
	}
	t := node.Type()
	switch {
	case graphops.Elementwise[t] && len(live) == 1:
		return passes(live[0])
	case t == graph.NodeTypeAdd || t == graph.NodeTypeSub:
		if centres(node) {
			return passes(live[0])
		}
		return n.sum(node)
	case t == graph.NodeTypeMul:
		return n.product(node)
	case t == graph.NodeTypeDiv:
		return passes(node.Inputs()[0]) // what it is divided by is held constant
	case t == graph.NodeTypeDotGeneral || t == graph.NodeTypeConvGeneral:
		return n.product(node)
	case rearranges[t] || chooses[t]:
		return n.routes(node)
	case t == graph.NodeTypeFusedSoftmax:
		return passes(live[0])
	}
	panic(fmt.Errorf("lrp: no rule says how relevance passes %s: write that part of the network in other operations",
		node))
}

// passes gives all relevance to one value, summed where that was broadcast.
func passes(to *graph.Node) *step {
	return &step{from: []*graph.Node{to}, back: func(r *graph.Node, _ float64) []*graph.Node {
		return []*graph.Node{sumTo(r, to)}
	}}
}

// routes sends relevance back as a gradient goes.
func (n *network) routes(node *graph.Node) *step {
	var from []*graph.Node
	for _, in := range n.LiveInputs(node) {
		if in.DType().IsFloat() {
			from = append(from, in)
		}
	}
	return &step{from: from, back: func(r *graph.Node, _ float64) []*graph.Node {
		var back []*graph.Node
		gradients := vjp(node, r)
		for _, in := range from {
			var sum *graph.Node
			for i, input := range node.Inputs() {
				if input == in {
					sum = plus(sum, gradients[i])
				}
			}
			back = append(back, sum)
		}
		return back
	}}
}

// sum shares relevance out by how much each summand contributes.
func (n *network) sum(node *graph.Node) *step {
	a, b := node.Inputs()[0], node.Inputs()[1]
	return &step{from: []*graph.Node{a, b}, back: func(r *graph.Node, stabilizer float64) []*graph.Node {
		s := graph.Div(r, Stabilize(node, stabilizer))
		toB := s
		if node.Type() == graph.NodeTypeSub {
			toB = graph.Neg(s)
		}
		return []*graph.Node{graph.Mul(a, sumTo(s, a)), graph.Mul(b, sumTo(toB, b))}
	}}
}

// product shares relevance out between two values that are multiplied, element by element or as matrices. A gate,
// such as a softmax over tokens or the sigmoid of squeeze-and-excitation, is held constant and gets nothing; where
// neither is a gate, or both are, each gets half.
func (n *network) product(node *graph.Node) *step {
	a, b := node.Inputs()[0], node.Inputs()[1]
	gateA, gateB := n.isGate(a, node), n.isGate(b, node)
	share := func(r *graph.Node, x *graph.Node, index int, stabilizer float64) *graph.Node {
		if node.Type() == graph.NodeTypeMul {
			return sumTo(r, x)
		}
		return graph.Mul(x, vjp(node, graph.Div(r, Stabilize(node, stabilizer)))[index])
	}
	switch {
	case gateA && !gateB:
		return &step{from: []*graph.Node{b}, back: func(r *graph.Node, stabilizer float64) []*graph.Node {
			return []*graph.Node{share(r, b, 1, stabilizer)}
		}}
	case gateB && !gateA:
		return &step{from: []*graph.Node{a}, back: func(r *graph.Node, stabilizer float64) []*graph.Node {
			return []*graph.Node{share(r, a, 0, stabilizer)}
		}}
	}
	return &step{from: []*graph.Node{a, b}, back: func(r *graph.Node, stabilizer float64) []*graph.Node {
		r = graph.MulScalar(r, 0.5)
		return []*graph.Node{share(r, a, 0, stabilizer), share(r, b, 1, stabilizer)}
	}}
}

// isGate reports whether a factor weighs the other and carries nothing of its own: it comes from a sigmoid, a softmax
// or a normalisation by nothing but scaling and rearranging, or is the same for many elements of the product.
func (n *network) isGate(x, product *graph.Node) bool {
	if product.Type() == graph.NodeTypeMul && x.Shape().Size() < product.Shape().Size() {
		return true
	}
	for x != n.Image {
		switch x.Type() {
		case graph.NodeTypeLogistic, graph.NodeTypeTanh, graph.NodeTypeRsqrt, graph.NodeTypeSqrt, graph.NodeTypeExp,
			graph.NodeTypeFusedSoftmax:
			return true
		case graph.NodeTypeDiv:
			if n.Live[x.Inputs()[1]] {
				return true
			}
		case graph.NodeTypePow:
			return true
		case graph.NodeTypeBroadcastInDim:
			if x.Inputs()[0].Shape().Size() < x.Shape().Size() {
				return true
			}
		case graph.NodeTypeMul, graph.NodeTypeAdd, graph.NodeTypeSub, graph.NodeTypeNeg, graph.NodeTypeIdentity,
			graph.NodeTypeConvertDType,
			graph.NodeTypeReshape, graph.NodeTypeTranspose, graph.NodeTypeSlice, graph.NodeTypeConcatenate, graph.NodeTypeGather:
		default:
			return false
		}
		live := n.LiveInputs(x)
		if len(live) != 1 {
			return false
		}
		x = live[0]
	}
	return false
}

// centres recognises x - mean(x), with which a layer normalisation begins.
func centres(node *graph.Node) bool {
	if node.Type() != graph.NodeTypeSub {
		return false
	}
	x, at := node.Inputs()[0], node.Inputs()[1]
	for {
		switch at.Type() {
		case graph.NodeTypeReduceSum:
			return at.Inputs()[0] == x
		case graph.NodeTypeReshape, graph.NodeTypeBroadcastInDim, graph.NodeTypeDiv, graph.NodeTypeIdentity:
			at = at.Inputs()[0]
		case graph.NodeTypeMul:
			if at.Inputs()[0].Shape().Size() == 1 {
				at = at.Inputs()[1]
			} else {
				at = at.Inputs()[0]
			}
		default:
			return false
		}
	}
}

// vjp is the product of v with the derivative of node by each of its inputs.
func vjp(node, v *graph.Node) []*graph.Node {
	if node.CustomGradient() == nil && graph.VJPRegistration[node.Type()] == nil {
		panic(fmt.Errorf("lrp: no rule says how relevance passes %s, which has no gradient either: write that part of the "+
			"network in other operations", node))
	}
	return dataflow.VJP(node, v)
}

// sumTo sums a value over the axes along which an operand was broadcast, to the operand's shape.
func sumTo(r, operand *graph.Node) *graph.Node {
	if r.DType() != operand.DType() {
		r = graph.ConvertDType(r, operand.DType())
	}
	if sameShape(r, operand) {
		return r
	}
	if operand.IsScalar() {
		return graph.ReduceAllSum(r)
	}
	var axes []int
	for axis, d := range operand.Shape().Dimensions {
		if d == 1 && r.Shape().Dimensions[axis] > 1 {
			axes = append(axes, axis)
		}
	}
	return graph.Reshape(graph.ReduceSum(r, axes...), slices.Clone(operand.Shape().Dimensions)...)
}
