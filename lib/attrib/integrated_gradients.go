package attrib

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/integrate/quad"

	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// IntegratedGradients is the image's difference from a baseline times the mean gradient on the
// straight line between the two, [N, H, W, C]:
//
//	(x - b) * ∫ ∂F(b + α(x - b))/∂x dα, α from 0 to 1
//
// The values of an image sum to F(x) - F(b), up to the error of the integral, which is the Attribution's
// Delta. Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, section 3.
type IntegratedGradients struct {
	// Steps is the number of gradients that the integral is computed from; 0 means 50.
	Steps int
	// Baseline is what an image without information looks like; the zero Filler means black.
	Baseline mask.Filler
	// Riemann takes the midpoints of equal steps; else the integral is by Gauss-Legendre quadrature.
	Riemann bool
}

// pathKey is the program's, whose steps, baseline and quadrature are arguments.
type pathKey struct{}

// Name is "integrated gradients".
func (IntegratedGradients) Name() string { return "integrated gradients" }

// Attribute implements [Method].
func (ig IntegratedGradients) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	steps := ig.Steps
	if steps == 0 {
		steps = 50
	}
	if steps < 0 {
		return nil, fmt.Errorf("attrib: integrated gradients take a positive number of steps, not %d", steps)
	}
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	baseline, err := filled(images, ig.Baseline, mask.Constant(0))
	if err != nil {
		return nil, err
	}
	alphas, weights := ig.quadrature(steps)

	exec, err := m.Exec(pathKey{}, func(in []*graph.Node) *graph.Node {
		x, b, classes, alpha, weight, sum := m.Cast(in[0]), m.Cast(in[1]), in[2], m.Cast(in[3]), m.Cast(in[4]), in[5]
		count, dims := alpha.Shape().Dimensions[0], x.Shape().Dimensions
		path := graph.Add(graph.ExpandAxes(b, 0), graph.Mul(scalars(alpha), graph.ExpandAxes(graph.Sub(x, b), 0)))
		points := graph.Reshape(path, count*dims[0], dims[1], dims[2], dims[3])
		gradient := graph.Reshape(classGradient(m, points, tile(classes, count)), path.Shape().Dimensions...)
		return graph.Add(sum, single(graph.ReduceSum(graph.Mul(gradient, scalars(weight)), 0)))
	})
	if err != nil {
		return nil, err
	}
	at, err := classLogits(m, images, classes)
	if err != nil {
		return nil, err
	}
	from, err := classLogits(m, baseline, classes)
	if err != nil {
		return nil, err
	}
	s := sweep{m, ig.Name(), steps}
	mean, stopped := s.run([]*tensors.Tensor{images, baseline, model.ClassTensor(classes)}, zerosLike(images),
		func(d device, sum *tensors.Tensor, first, count int) (*tensors.Tensor, error) {
			return exec.Call1(append(d.inputs[:len(d.inputs):len(d.inputs)], window(alphas, first, count),
				window(weights, first, count), sum)...)
		})
	if mean == nil {
		return nil, stopped
	}
	values, sums, err := timesDifference(mean, images, baseline)
	if err != nil {
		return nil, err
	}
	a := NewAttribution(ig, m, values, classes)
	for i, sum := range sums {
		a.Delta = append(a.Delta, sum-(float64(at[i])-float64(from[i])))
	}
	return a, stopped
}

// quadrature returns points in 0..1 and weights that sum to 1.
func (ig IntegratedGradients) quadrature(steps int) (alphas, weights []float64) {
	alphas, weights = make([]float64, steps), make([]float64, steps)
	if ig.Riemann {
		for i := range alphas {
			alphas[i], weights[i] = (float64(i)+0.5)/float64(steps), 1/float64(steps)
		}
	} else {
		quad.Legendre{}.FixedLocations(alphas, weights, 0, 1)
	}
	return alphas, weights
}

// timesDifference returns mean * (x - b) and its sum over each image, of as many images as there are means.
func timesDifference(mean, x, b *tensors.Tensor) (*tensors.Tensor, []float64, error) {
	var flats [3][]float32
	for i, t := range []*tensors.Tensor{mean, x, b} {
		var err error
		if flats[i], err = tensors.CopyFlatData[float32](t); err != nil {
			return nil, nil, fmt.Errorf("attrib: %w", err)
		}
	}
	values := flats[0]
	sums := make([]float64, mean.Shape().Dimensions[0])
	size := len(values) / len(sums)
	for i := range values {
		values[i] *= flats[1][i] - flats[2][i]
		sums[i/size] += float64(values[i])
	}
	return tensors.FromFlatDataAndDimensions(values, mean.Shape().Dimensions...), sums, nil
}
