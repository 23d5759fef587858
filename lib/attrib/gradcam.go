package attrib

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// GradCAM weighs the channels of a convolutional layer, A, by the mean over positions of the logit's gradient by
// them, and enlarges what is positive of the sum to the size of the image, [N, H, W, 1]:
//
//	relu(Σ_k α_k A_k), α_k = mean over positions of ∂F/∂A_k
//
// It is enlarged bilinearly, pixels taken as areas. Selvaraju et al., "Grad-CAM", ICCV 2017, section 3.
type GradCAM struct {
	// Layer is a named activation with two spatial axes (see the model's Layers); empty means the last
	// one with more than one position before the model's features.
	Layer string
	// Signed keeps what is negative of the sum: evidence against the class.
	Signed bool
}

// Name is "Grad-CAM".
func (GradCAM) Name() string { return "Grad-CAM" }

// Attribute implements [Method].
func (gc GradCAM) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	layer := gc.Layer
	if layer == "" {
		if layer = m.SpatialLayer(); layer == "" {
			return nil, fmt.Errorf("attrib: Grad-CAM needs a layer with two spatial axes, and %s names none", m.Name())
		}
	}
	l, err := m.Layer(layer)
	if err != nil {
		return nil, err
	}
	if l.Layout == model.NotSpatial {
		return nil, fmt.Errorf("attrib: Grad-CAM needs a layer with two spatial axes, and none are known of %s, %v for an image", layer, l.Shape)
	}
	classes, err = m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	spec := m.Spec()
	results, stopped := m.Map(gc.Name(), GradCAM{layer, gc.Signed}, func(in []*graph.Node) []*graph.Node {
		out := m.Call(in[0])
		activation := out.Activations[layer]
		gradient := graph.Gradient(graph.ReduceAllSum(m.ClassLogits(out.Logits, in[1])), activation)[0]
		activation, gradient = l.Layout.ToChannelsLast(activation), l.Layout.ToChannelsLast(gradient)
		alpha := graph.ReduceAndKeep(gradient, graph.ReduceMean, 1, 2)
		cam := graph.ReduceAndKeep(graph.Mul(activation, alpha), graph.ReduceSum, -1)
		if !gc.Signed {
			cam = graph.Max(cam, graph.ZerosLike(cam))
		}
		return []*graph.Node{graph.Interpolate(single(cam), graph.NoInterpolation, spec.Height, spec.Width, graph.NoInterpolation).
			Bilinear().AlignCorner(false).HalfPixelCenters(true).Done()}
	}, images, model.ClassTensor(classes))
	if results == nil {
		return nil, stopped
	}
	return NewAttribution(gc, m, results[0], classes), stopped
}
