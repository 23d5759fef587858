package lrp

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// nonNegative reports whether a value is known to have no negative elements, because it comes from a ReLU or a sum
// or choice of such values. It spares rules that treat the signs of an input apart half of their work.
func (n *network) nonNegative(node *graph.Node) bool {
	if is, known := n.positive[node]; known {
		return is
	}
	n.positive[node] = false // until it is known
	is := n.findNonNegative(node)
	n.positive[node] = is
	return is
}

func (n *network) findNonNegative(node *graph.Node) bool {
	inputs := node.Inputs()
	switch node.Type() {
	case graph.NodeTypeConstant:
		return constantNonNegative(node.ConstantValue())
	case graph.NodeTypeMax:
		return slices.ContainsFunc(inputs, n.nonNegative)
	case graph.NodeTypeExp, graph.NodeTypeLogistic, graph.NodeTypeSqrt, graph.NodeTypeAbs:
		return true
	case graph.NodeTypeAdd, graph.NodeTypeMul, graph.NodeTypeDiv, graph.NodeTypeMin, graph.NodeTypeConcatenate,
		graph.NodeTypeIdentity, graph.NodeTypeConvertDType, graph.NodeTypeReshape, graph.NodeTypeTranspose,
		graph.NodeTypeBroadcastInDim,
		graph.NodeTypeSlice, graph.NodeTypeReduceSum, graph.NodeTypeReduceMax, graph.NodeTypeReduceWindow:
		return len(inputs) > 0 && !slices.ContainsFunc(inputs, func(in *graph.Node) bool { return !n.nonNegative(in) })
	}
	return false
}

// constantNonNegative looks at small constants: the others are weights.
func constantNonNegative(t *tensors.Tensor) bool {
	if t == nil || t.Size() > 64 {
		return false
	}
	negative := func(v float64) bool { return !(v >= 0) }
	switch t.DType() {
	case dtypes.Float32:
		for _, v := range tensors.MustCopyFlatData[float32](t) {
			if negative(float64(v)) {
				return false
			}
		}
	case dtypes.Float64:
		for _, v := range tensors.MustCopyFlatData[float64](t) {
			if negative(v) {
				return false
			}
		}
	default:
		return false
	}
	return true
}
