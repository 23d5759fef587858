package attrib

import (
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
	return attributeBy(gc, m, images, classes)
}

func (gc GradCAM) program(m *model.Model) (Method, graphFunction, error) {
	l, err := camLayer(m, gc, gc.Layer)
	gc.Layer = l.Name
	return gc, cam(m, l, func(activation, gradient *graph.Node) *graph.Node {
		alpha := graph.ReduceAndKeep(gradient, graph.ReduceMean, 1, 2)
		sum := channelSum(graph.Mul(activation, alpha))
		if gc.Signed {
			return sum
		}
		return notNegative(sum)
	}), err
}
