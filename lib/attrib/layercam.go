package attrib

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// LayerCAM weighs each value of a convolutional layer, A, by what is positive of the logit's gradient by it, which
// keeps the detail of early layers, [N, H, W, 1]:
//
//	relu(Σ_k relu(∂F/∂A_k) A_k)
//
// It is enlarged as that of [GradCAM] is. Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for
// Localization", IEEE TIP 30 (2021), section III-B; of early layers the paper takes tanh(2 M / max M) of the map M.
type LayerCAM struct {
	// Layer is as in [GradCAM].
	Layer string
}

// Name is "LayerCAM".
func (LayerCAM) Name() string { return "LayerCAM" }

// Attribute implements [Method].
func (lc LayerCAM) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	return attributeBy(lc, m, images, classes)
}

func (lc LayerCAM) program(m *model.Model) (Method, graphFunction, error) {
	l, err := camLayer(m, lc, lc.Layer)
	lc.Layer = l.Name
	return lc, cam(m, l, func(activation, gradient *graph.Node) *graph.Node {
		return notNegative(channelSum(graph.Mul(activation, notNegative(gradient))))
	}), err
}
