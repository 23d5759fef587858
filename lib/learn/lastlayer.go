package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// LastLayer is the last linear layer of a network as a network of its own, which sees the network's D features as an
// image [N, 1, D, 1] ([FeatureImages]), so that it is trained and asked without the rest: the last-layer variants of
// Ovadia et al., NeurIPS 2019.
type LastLayer struct {
	// Dropout is the share of features dropped in training and in the members of [model.Model.Sampled]; 0 is none.
	Dropout float64
}

// Of is the last layer of m with m's weights, named linear.weight and linear.bias, m's classes and its activation. It
// is an error where m's logits are not linear in its features, or not one for each class.
func (l LastLayer) Of(m *model.Model) (*model.Model, error) {
	if !(l.Dropout >= 0 && l.Dropout < 1) {
		return nil, fmt.Errorf("learn: the dropout is %v, it is the share of values dropped, from 0 to less than 1",
			l.Dropout)
	}
	if m == nil {
		return nil, fmt.Errorf("learn: the last layer of no network: it is nil")
	}
	head, err := m.Head()
	if err != nil {
		return nil, err
	}
	k, d := head.Weights.Dims()
	if k != m.NumClasses() {
		return nil, fmt.Errorf("learn: the last layer of %s has %d outputs for %d classes: it takes one for each", m.Name(),
			k, m.NumClasses())
	}
	weights, bias := make([]float32, 0, k*d), make([]float32, k)
	for i := range k {
		for _, w := range head.Weights.RawRowView(i) {
			weights = append(weights, float32(w))
		}
		bias[i] = float32(head.Bias[i])
	}
	spec := model.Spec{Name: "last layer of " + m.Name(), Height: 1, Width: d, Channels: 1, Classes: m.Classes(),
		Activation: m.Activation()}
	return model.FromArchitecture(l, map[string]*tensors.Tensor{
		"linear.weight": tensors.FromFlatDataAndDimensions(weights, k, d),
		"linear.bias":   tensors.FromFlatDataAndDimensions(bias, k),
	}, spec, func(b *model.Builder, x *graph.Node) *graph.Node {
		return b.Linear("linear", b.Dropout(b.Features(graph.Reshape(x, x.Shape().Dimensions[0], d)), l.Dropout))
	})
}

// FeatureImages are the features that a network has of images, [N, H, W, C] float32 in 0..1, as the images that
// [LastLayer] sees, [N, 1, D, 1]. Interrupted, it returns those of the images that are done beside the error.
func FeatureImages(m *model.Model, images *tensors.Tensor) (*tensors.Tensor, error) {
	if m == nil {
		return nil, fmt.Errorf("learn: the features of no network: it is nil")
	}
	features, stopped := m.Features(images)
	if features == nil {
		return nil, stopped
	}
	flat, err := tensors.CopyFlatData[float32](features)
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	d := features.Shape().Dimensions
	return tensors.FromFlatDataAndDimensions(flat, d[0], 1, d[1], 1), stopped
}
