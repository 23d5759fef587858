package attrib

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// GradCAMPlusPlus is Grad-CAM with another weight for each position, g being ∂F/∂A_k there: several things of one
// class in an image count alike, whatever their sizes, [N, H, W, 1]:
//
//	relu(Σ_k w_k A_k), w_k = Σ α_k relu(g), α_k = g² / (2 g² + g³ Σ A_k)
//
// with sums over positions; α is 0 where g is, and 1e-6 keeps its denominator from zero. It is enlarged as that of
// [GradCAM] is. Chattopadhay et al., "Grad-CAM++", WACV 2018, equations 5, 7 and 19; these explain exp(F), which scales
// an image's map by one number, left out here.
type GradCAMPlusPlus struct {
	// Layer is as in [GradCAM].
	Layer string
}

// Name is "Grad-CAM++".
func (GradCAMPlusPlus) Name() string { return "Grad-CAM++" }

// Attribute implements [Method].
func (gc GradCAMPlusPlus) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	return attributeBy(gc, m, images, classes)
}

func (gc GradCAMPlusPlus) program(m *model.Model) (Method, graphFunction, error) {
	l, err := camLayer(m, gc, gc.Layer)
	gc.Layer = l.Name
	return gc, cam(m, l, func(activation, gradient *graph.Node) *graph.Node {
		square := graph.Square(gradient)
		total := graph.ReduceAndKeep(activation, graph.ReduceSum, 1, 2)
		below := graph.Add(graph.MulScalar(square, 2), graph.Mul(graph.Mul(square, gradient), total))
		alpha := graph.Div(square, graph.AddScalar(below, 1e-6))
		// Where the gradient is 0 so is the square: no more is needed for alpha to be.
		weight := graph.ReduceAndKeep(graph.Mul(alpha, notNegative(gradient)), graph.ReduceSum, 1, 2)
		return notNegative(channelSum(graph.Mul(activation, weight)))
	}), err
}
