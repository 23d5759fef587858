package spurious

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// FeatureModel returns a model whose outputs are the features, in place of logits: methods of attribution then show
// where in an image a feature is, and attacks put it there (attack.FeatureAttack).
func FeatureModel(m *model.Model) (*model.Model, error) {
	return m.Extend("features of "+m.Name(), nil, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		if out.Features == nil {
			panic(fmt.Errorf("spurious: %s names no features", m.Name()))
		}
		return flat(out.Features)
	})
}

type activationMapKey struct{ feature int }

// NeuralActivationMap returns where a feature is in images, [N, H, W] float32 in 0..1: its channel in the layer whose
// mean over positions the features are, divided by its largest value and enlarged bilinearly to the images' size. It is
// an error for a model whose features are no mean over positions; attribution on the [FeatureModel] serves there.
// Singla and Feizi, "Salient ImageNet", ICLR 2022, section 4.
func NeuralActivationMap(m *model.Model, images *tensors.Tensor, feature int) (*tensors.Tensor, error) {
	head, err := m.Head()
	if err != nil {
		return nil, err
	}
	_, d := head.Weights.Dims()
	if feature < 0 || feature >= d {
		return nil, fmt.Errorf("spurious: feature %d does not exist: %s has 0 to %d", feature, m.Name(), d-1)
	}
	layer, err := m.Layer(m.SpatialLayer())
	channel := 2
	if layer.Layout == model.ChannelsFirst {
		channel = 0
	}
	if err != nil || layer.Shape[channel] != d {
		return nil, fmt.Errorf(
			"spurious: the features of %s are no mean over the positions of a layer: use attribution on its FeatureModel",
			m.Name())
	}
	spec := m.Spec()
	results, err := m.Map("neural activation maps", activationMapKey{feature}, func(in []*graph.Node) []*graph.Node {
		x := m.Call(in[0]).Activations[layer.Name]
		x = layer.Layout.ToChannelsLast(x)
		x = graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(feature, feature+1))
		largest := graph.ReduceAndKeep(x, graph.ReduceMax, 1, 2)
		x = graph.Div(x, graph.Where(graph.GreaterThan(largest, graph.ZerosLike(largest)), largest, graph.OnesLike(largest)))
		x = graph.Interpolate(x, graph.NoInterpolation, spec.Height, spec.Width,
			graph.NoInterpolation).Bilinear().AlignCorner(false).HalfPixelCenters(true).Done()
		return []*graph.Node{graph.Reshape(x, x.Shape().Dimensions[0], spec.Height, spec.Width)}
	}, images)
	if err != nil {
		return nil, err
	}
	return results[0], nil
}
