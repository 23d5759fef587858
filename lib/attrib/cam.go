package attrib

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/model"
)

// camLayer finds the layer that a method of class activation mapping looks at: the named one, or else the last with
// more than one position before the features.
func camLayer(m *model.Model, method Method, layer string) (model.Layer, error) {
	if layer == "" {
		if layer = m.SpatialLayer(); layer == "" {
			return model.Layer{}, fmt.Errorf("attrib: %s needs a layer with two spatial axes, and %s names none",
				method.Name(), m.Name())
		}
	}
	l, err := m.Layer(layer)
	if err != nil {
		return l, err
	}
	if l.Layout == model.NotSpatial {
		return l, fmt.Errorf("attrib: %s needs a layer with two spatial axes, and none are known of %s, %v for an image",
			method.Name(), layer, l.Shape)
	}
	return l, nil
}

// cam is a class activation map: weigh makes the map, [B, h, w, 1], of the layer's values and of the gradient of the
// class's logit by them, both [B, h, w, K].
func cam(m *model.Model, l model.Layer, weigh func(activation, gradient *graph.Node) *graph.Node) graphFunction {
	return func(x, classes *graph.Node) *graph.Node {
		out := m.Call(x)
		activation := out.Activations[l.Name]
		gradient := graph.Gradient(graph.ReduceAllSum(m.ClassLogits(out.Logits, classes)), activation)[0]
		return enlarged(m, weigh(l.Layout.ToChannelsLast(activation), l.Layout.ToChannelsLast(gradient)))
	}
}

// channelSum is the sum over channels, [B, h, w, 1].
func channelSum(x *graph.Node) *graph.Node { return graph.ReduceAndKeep(x, graph.ReduceSum, -1) }

// notNegative is max(0, x).
func notNegative(x *graph.Node) *graph.Node { return graph.Max(x, graph.ZerosLike(x)) }

// enlarged brings maps [B, h, w, K] to the size of the model's images, bilinearly, positions taken as areas.
func enlarged(m *model.Model, maps *graph.Node) *graph.Node {
	spec := m.Spec()
	return graph.Interpolate(single(maps), graph.NoInterpolation, spec.Height, spec.Width, graph.NoInterpolation).
		Bilinear().AlignCorner(false).HalfPixelCenters(true).Done()
}
