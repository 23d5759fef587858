package learn

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Variational returns the same network with a normal distribution in the place of each weight for which only is true,
// nil for all whose names end in ".weight": its mean is the weight, its standard deviation at first the same for all, 0
// for 0.05. [Recipe.Train] then learns means and deviations: it draws the weights anew in each step and adds to the
// loss
//
//	1/N Σ KL(N(μ, σ²) || N(0, 1)) = 1/N Σ (σ² + μ² - 1)/2 - log σ
//
// with N the number of images, so that it minimises the negative evidence lower bound per image. Blundell et al.,
// "Weight Uncertainty in Neural Networks", ICML 2015; with only the last layer's weights, the last-layer variant of
// Ovadia et al., NeurIPS 2019. As theirs, layers have draws of their own for each image, by Flipout (Wen et al., ICLR
// 2018).
//
// The model itself uses the means; model.Sampled draws.
func Variational(m *model.Model, deviation float64, only func(weight string) bool) (*model.Model, error) {
	if deviation == 0 {
		deviation = 0.05
	}
	if !(deviation > 0) || deviation-deviation != 0 {
		return nil, fmt.Errorf("learn: a standard deviation of %v, it is positive", deviation)
	}
	if only == nil {
		only = func(weight string) bool { return strings.HasSuffix(weight, ".weight") }
	}
	start := float32(math.Log(math.Expm1(deviation))) // softplus of it is the deviation
	more := map[string]*tensors.Tensor{}
	for name, w := range m.Weights() {
		if spread, has := m.Spread(name); only(name) && !has && w.DType().IsFloat() {
			more[spread] = tensors.FromScalarAndDimensions(start, slices.Clone(w.Shape().Dimensions)...)
		}
	}
	if len(more) == 0 {
		return nil, fmt.Errorf("learn: none of the weights of %s is to become a distribution: Weights lists their names",
			m.Name())
	}
	return m.Extend(m.Name(), m.Spec().Classes, more,
		func(_ *model.Builder, out model.Outputs) *graph.Node { return out.Logits })
}

// Divergence is Σ KL(N(μ, σ²) || N(0, 1)) over the weights that are distributions, a scalar; nil if none is. nodes are
// the weights of the model in a graph, such as those of [Step.Weights].
func Divergence(m *model.Model, nodes map[string]*graph.Node) *graph.Node {
	var sum *graph.Node
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		spread, is := m.Spread(name)
		if !is || nodes[spread] == nil {
			continue
		}
		mean, deviation := nodes[name], model.Softplus(nodes[spread])
		kl := graph.ReduceAllSum(
			graph.Sub(graph.MulScalar(graph.AddScalar(graph.Add(graph.Square(deviation), graph.Square(mean)), -1), 0.5),
				graph.Log(deviation)))
		if sum == nil {
			sum = kl
		} else {
			sum = graph.Add(sum, kl)
		}
	}
	return sum
}
