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
	return oneGradient(g, m, images, classes, func(_, gradient *graph.Node) *graph.Node {
		if g.Abs {
			return graph.Abs(gradient)
		}
		return gradient
	})
}

// InputXGradient is the gradient of the logit by the image, times the image, [N, H, W, C]: the first term of the
// Taylor series of the logit's difference from a black image. Shrikumar et al., "Not Just a Black Box",
// arXiv:1605.01713, section 2.
type InputXGradient struct{}

// Name is "input x gradient".
func (InputXGradient) Name() string { return "input x gradient" }

// Attribute implements [Method].
func (i InputXGradient) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	return oneGradient(i, m, images, classes, func(x, gradient *graph.Node) *graph.Node { return graph.Mul(x, gradient) })
}

// oneGradient is a method that needs one gradient for each image.
func oneGradient(method Method, m *model.Model, images *tensors.Tensor, classes []int, finish func(x, gradient *graph.Node) *graph.Node) (*Attribution, error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	results, stopped := m.Map(method.Name(), method, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{finish(in[0], classGradient(m, in[0], in[1]))}
	}, images, model.ClassTensor(classes))
	if results == nil {
		return nil, stopped
	}
	return NewAttribution(method, m, results[0], classes), stopped
}
