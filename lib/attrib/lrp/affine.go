package lrp

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/dataflow"
)

// layerAt finds the layer whose output is node: a product with weights or a sum, and what scales and shifts
// its result by values that do not depend on the image. between are the values of the layer before its output that
// have one element for each of its elements. It returns nil if node is no such output.
func (n *network) layerAt(node *graph.Node) (l *Layer, between []*graph.Node) {
	var scale, bias *graph.Node
	var shaping []*graph.Node // reshapes and transpositions passed so far
	// up brings a value of the shape of at to that of node.
	up := func(value, at *graph.Node) *graph.Node {
		if len(shaping) == 0 {
			return value
		}
		value = graph.BroadcastToShape(alignRank(value, at.Rank()), at.Shape())
		for _, s := range slices.Backward(shaping) {
			value = s.CloneWithInputs(value)
		}
		return value
	}
	scaled := func(d *graph.Node) *graph.Node {
		if scale == nil {
			return d
		}
		return graph.Mul(scale, d)
	}
	for at := node; ; {
		if in, linear := n.linearAt(at, scale, shaping); linear != nil {
			return &Layer{Kind: linear.kind, In: in, Out: node, linear: linear, bias: bias}, between
		}
		live := n.LiveInputs(at)
		if len(live) != 1 {
			return nil, nil
		}
		next := live[0]
		if next == n.Image || n.Consumers[next] != 1 || !next.DType().IsFloat() {
			return nil, nil
		}
		kept := slices.Equal(next.Shape().Dimensions, at.Shape().Dimensions)
		inputs := at.Inputs()
		dead := func() *graph.Node { // the other input of a binary operation
			if inputs[0] == next {
				return inputs[1]
			}
			return inputs[0]
		}
		switch at.Type() {
		case graph.NodeTypeReshape, graph.NodeTypeTranspose:
			// A reshape belongs to a layer only if a bias comes after it, and a value with a name keeps its own step.
			if scale != nil || bias == nil || n.named[next] {
				return nil, nil
			}
			shaping = append(shaping, at)
			at = next
			continue
		case graph.NodeTypeAdd:
			if inputs[0] == inputs[1] {
				return nil, nil
			}
			bias = plus(bias, up(scaled(dead()), at))
		case graph.NodeTypeSub:
			if inputs[0] == next {
				bias = plus(bias, up(graph.Neg(scaled(dead())), at))
			} else {
				bias = plus(bias, up(scaled(dead()), at))
				scale = scaled(graph.Scalar(at.Graph(), at.DType(), -1))
			}
		case graph.NodeTypeMul:
			if inputs[0] == inputs[1] {
				return nil, nil
			}
			scale = scaled(dead())
		case graph.NodeTypeDiv:
			if inputs[0] != next {
				return nil, nil
			}
			scale = scaled(graph.Reciprocal(dead()))
		case graph.NodeTypeNeg:
			scale = scaled(graph.Scalar(at.Graph(), at.DType(), -1))
		case graph.NodeTypeIdentity:
		default:
			return nil, nil
		}
		if !kept {
			return nil, nil
		}
		at = next
		if len(shaping) == 0 {
			between = append(between, at)
		} else if n.named[at] {
			return nil, nil
		}
	}
}

// linearAt returns the map whose result is node, times scale, then shaped, and the live value that it takes. The map is
// nil if node is not the result of one, or the scale differs within what one weight contributes to.
func (n *network) linearAt(node, scale *graph.Node, shaping []*graph.Node) (in *graph.Node, m *linearMap) {
	shaped := func(y *graph.Node) *graph.Node {
		for _, s := range slices.Backward(shaping) {
			y = s.CloneWithInputs(y)
		}
		return y
	}
	switch node.Type() {
	case graph.NodeTypeConvGeneral, graph.NodeTypeDotGeneral:
		inputs := node.Inputs()
		at := slices.IndexFunc(inputs, n.IsLive)
		if n.Live[inputs[1-at]] {
			return nil, nil
		}
		kernel := inputs[1-at]
		if scale != nil {
			if scale = scaleOfKernel(node, 1-at, scale); scale == nil {
				return nil, nil
			}
			kernel = graph.Mul(kernel, scale)
		}
		m = &linearMap{apply: func(x *graph.Node, weight func(w *graph.Node) *graph.Node) *graph.Node {
			changed := slices.Clone(inputs)
			changed[at], changed[1-at] = x, weight(kernel)
			return shaped(node.CloneWithInputs(changed...))
		}}
		if node.Type() == graph.NodeTypeDotGeneral {
			m.kind = Dense
		}
		return inputs[at], m
	case graph.NodeTypeReduceSum, graph.NodeTypeReduceWindow:
		if node.Type() == graph.NodeTypeReduceWindow && dataflow.Windows(node) != compute.ReduceOpSum {
			return nil, nil
		}
		return node.Inputs()[0], &linearMap{kind: Pooling,
			apply: func(x *graph.Node, weight func(w *graph.Node) *graph.Node) *graph.Node {
				y := node.CloneWithInputs(x)
				factor := scale
				if factor == nil {
					factor = graph.ScalarOne(node.Graph(), node.DType())
				}
				return shaped(graph.Mul(y, weight(factor)))
			}}
	case graph.NodeTypeAdd, graph.NodeTypeSub:
		if n.Parents[node] != nil {
			return nil, nil
		}
		return n.shiftedSum(node, scale, shaped)
	}
	return nil, nil
}

// shiftedSum recognises a sum of parts of one value, each with weights of its own: a convolution written out, as
// depthwise ones are in this module.
func (n *network) shiftedSum(node, scale *graph.Node, shaped func(*graph.Node) *graph.Node) (in *graph.Node,
	m *linearMap) {
	type term struct {
		node   *graph.Node
		weight *graph.Node // nil for 1
		ways   []*graph.Node
	}
	var terms []term
	weighted := false
	var collect func(at, weight *graph.Node)
	times := func(a, b *graph.Node) *graph.Node {
		if a == nil {
			return b
		}
		return graph.Mul(a, b)
	}
	minus := func(a *graph.Node) *graph.Node {
		return times(a, graph.Scalar(node.Graph(), node.DType(), -1))
	}
	collect = func(at, weight *graph.Node) {
		inputs := at.Inputs()
		if at == node || n.Consumers[at] == 1 {
			switch at.Type() {
			case graph.NodeTypeAdd, graph.NodeTypeSub:
				if n.Live[inputs[0]] && n.Live[inputs[1]] && sameShape(inputs[0], at) && sameShape(inputs[1], at) {
					collect(inputs[0], weight)
					if at.Type() == graph.NodeTypeSub {
						weight = minus(weight)
					}
					collect(inputs[1], weight)
					return
				}
			case graph.NodeTypeMul:
				for i, live := range inputs {
					if other := inputs[1-i]; n.Live[live] && !n.Live[other] && sameShape(live, at) {
						weighted = weighted || other.Shape().Size() > 1
						collect(live, times(weight, other))
						return
					}
				}
			case graph.NodeTypeNeg:
				collect(inputs[0], minus(weight))
				return
			}
		}
		terms = append(terms, term{at, weight, n.rearranged(at)})
	}
	collect(node, scale)
	if len(terms) == 1 {
		return nil, nil // a sum with something that does not depend on the image
	}
	// The source is the first value that all terms are rearrangements of.
	common := slices.IndexFunc(terms[0].ways, func(way *graph.Node) bool {
		return !slices.ContainsFunc(terms, func(t term) bool { return !slices.Contains(t.ways, way) })
	})
	if common < 0 {
		return nil, nil
	}
	in = terms[0].ways[common]
	kind := Pooling
	if weighted {
		kind = Convolution
	}
	return in, &linearMap{kind, func(x *graph.Node, weight func(w *graph.Node) *graph.Node) *graph.Node {
		done := map[*graph.Node]*graph.Node{in: x}
		var again func(at *graph.Node) *graph.Node
		again = func(at *graph.Node) *graph.Node {
			if done[at] == nil {
				inputs := slices.Clone(at.Inputs())
				for i, input := range inputs {
					if n.Live[input] {
						inputs[i] = again(input)
					}
				}
				done[at] = at.CloneWithInputs(inputs...)
			}
			return done[at]
		}
		var sum *graph.Node
		for _, t := range terms {
			w := t.weight
			if w == nil {
				w = graph.ScalarOne(node.Graph(), node.DType())
			}
			sum = plus(sum, graph.Mul(again(t.node), weight(w)))
		}
		return shaped(sum)
	}}
}

// rearranged is a node, the value that it is a rearrangement or part of, and so on.
func (n *network) rearranged(node *graph.Node) []*graph.Node {
	ways := []*graph.Node{node}
	for node != n.Image {
		live := n.LiveInputs(node)
		if !rearranges[node.Type()] || len(live) != 1 || node.Type() == graph.NodeTypeBroadcastInDim {
			break
		}
		node = live[0]
		ways = append(ways, node)
	}
	return ways
}

// scaleOfKernel brings a scale of the output of a product with weights to the shape of the weights, input number
// kernel of node. It returns nil if the scale is not one for each output feature.
func scaleOfKernel(node *graph.Node, kernel int, scale *graph.Node) *graph.Node {
	if scale.Shape().Size() == 1 {
		return graph.Reshape(scale)
	}
	scale = alignRank(scale, node.Rank())
	feature := -1
	for axis, d := range scale.Shape().Dimensions {
		if d == 1 {
			continue
		}
		if feature >= 0 {
			return nil
		}
		feature = axis
	}
	w := node.Inputs()[kernel]
	for axis := range w.Rank() {
		if outputAxis(node, kernel, axis) != feature {
			continue
		}
		dims := make([]int, w.Rank())
		for i := range dims {
			dims[i] = 1
		}
		dims[axis] = scale.Shape().Size()
		return graph.Reshape(scale, dims...)
	}
	return nil
}

// outputAxis is the axis of the output that an axis of the weights becomes, or -1. The layout is asked for by trying:
// with twice the weights along an axis of output features there are twice the features, and any other axis fits no more
// or changes another size.
func outputAxis(node *graph.Node, kernel, axis int) (to int) {
	to = -1
	defer func() { _ = recover() }() // what does not fit
	inputs := slices.Clone(node.Inputs())
	inputs[kernel] = graph.Concatenate([]*graph.Node{inputs[kernel], inputs[kernel]}, axis)
	before, after := node.Shape().Dimensions, node.CloneWithInputs(inputs...).Shape().Dimensions
	for i := range before {
		if before[i] == after[i] {
			continue
		}
		if to >= 0 || after[i] != 2*before[i] {
			return -1
		}
		to = i
	}
	return to
}

// alignRank gives a scalar the rank of what it is combined with.
func alignRank(x *graph.Node, rank int) *graph.Node {
	if x.Rank() == rank {
		return x
	}
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = 1
	}
	return graph.Reshape(x, dims...)
}

func sameShape(a, b *graph.Node) bool {
	return slices.Equal(a.Shape().Dimensions, b.Shape().Dimensions)
}
