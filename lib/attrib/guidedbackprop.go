package attrib

import (
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// GuidedBackprop is the gradient of the logit by the image, but that each ReLU on the way back lets through only what
// is positive, [N, H, W, C]. Springenberg et al., "Striving for Simplicity", ICLR 2015 workshop, section 3.4. Of a
// ReLU6, the same, where it rises.
//
// It shows edges rather than what the class rests on: it hardly changes when the network's weights are randomised
// (Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018). It is defined for networks of ReLUs, convolutions,
// linear layers, normalisation by running statistics, sums and poolings; another activation, or a product of two values
// that depend on the image, is an error.
type GuidedBackprop struct{}

// Name is "guided backpropagation".
func (GuidedBackprop) Name() string { return "guided backpropagation" }

// Attribute implements [Method].
func (gb GuidedBackprop) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	return attributeBy(gb, m, images, classes)
}

func (gb GuidedBackprop) program(m *model.Model) (Method, graphFunction, error) {
	return gb, func(x, classes *graph.Node) *graph.Node {
		b := &backward{method: gb, m: m}
		b.nonlinear = func(node, v *graph.Node) ([]handed, bool) {
			if len(b.LiveInputs(node)) != 1 {
				return nil, false
			}
			inputs := node.Inputs()
			switch node.Type() {
			case graph.NodeTypeMax:
				if !slices.ContainsFunc(inputs, isZero) {
					return nil, false
				}
				return b.gradient(node, notNegative(v)), true
			case graph.NodeTypeClamp: // lower bound, x, upper bound
				if !isZero(inputs[0]) {
					return nil, false
				}
				return b.gradient(node, notNegative(v)), true
			case graph.NodeTypeMin: // of a ReLU6 the upper bound
				if !slices.ContainsFunc(inputs, b.isReLU) {
					return nil, false
				}
				return b.gradient(node, v), true
			}
			_, pools := isPooling(node)
			return b.gradient(node, v), pools
		}
		return b.classBackward(m.Cast(x), classes)
	}, nil
}

// isReLU reports whether a value is max(0, x) of one that depends on the image.
func (b *backward) isReLU(node *graph.Node) bool {
	return b.Live[node] && node.Type() == graph.NodeTypeMax && slices.ContainsFunc(node.Inputs(), isZero)
}

// isZero reports whether a value is a constant of zeros.
func isZero(node *graph.Node) bool {
	for {
		switch node.Type() {
		case graph.NodeTypeBroadcastInDim, graph.NodeTypeReshape, graph.NodeTypeConvertDType, graph.NodeTypeIdentity:
			node = node.Inputs()[0]
			continue
		case graph.NodeTypeConstant:
		default:
			return false
		}
		t := node.ConstantValue()
		return t != nil && t.Equal(tensors.FromShape(t.Shape()))
	}
}
