package attrib

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Gradient is the gradient of the logit by the image, [N, H, W, C], signed. With Abs it is the saliency map of
// Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks", ICLR 2014 workshop, section 3.
type Gradient struct {
	// Abs takes absolute values.
	Abs bool
}

// Name is "gradient", or "saliency" with Abs.
func (g Gradient) Name() string {
	if g.Abs {
		return "saliency"
	}
	return "gradient"
}

// Attribute implements [Method].
func (g Gradient) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	return attributeBy(g, m, images, classes)
}

func (g Gradient) program(m *model.Model) (Method, graphFunction, error) {
	return g, func(x, classes *graph.Node) *graph.Node {
		gradient := classGradient(m, x, classes)
		if g.Abs {
			return graph.Abs(gradient)
		}
		return gradient
	}, nil
}

// InputXGradient is the gradient of the logit by the image, times the image, [N, H, W, C]: the first term of the
// Taylor series of the logit's difference from a black image. Shrikumar et al., "Not Just a Black Box",
// arXiv:1605.01713, section 2.
type InputXGradient struct{}

// Name is "input x gradient".
func (InputXGradient) Name() string { return "input x gradient" }

// Attribute implements [Method].
func (i InputXGradient) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	return attributeBy(i, m, images, classes)
}

func (i InputXGradient) program(m *model.Model) (Method, graphFunction, error) {
	return i, func(x, classes *graph.Node) *graph.Node { return graph.Mul(x, classGradient(m, x, classes)) }, nil
}
