package attrib

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// GradientSHAP is the mean, over baselines and points on the straight lines from them, of the gradient there times the
// image's difference from the baseline, [N, H, W, C]: an estimate of Shapley values, or integrated gradients from many
// baselines.
//
//	1/n Σ (x - b_i) * ∂F(b_i + α_i(x - b_i))/∂x, α_i uniform in 0..1, b_i one of the baselines
//
// All images are given the same draws. The values of an image sum to F(x) less the mean F of the baselines drawn, up to
// the error of the mean over so many draws, which is the Attribution's Delta. Lundberg and Lee, NeurIPS 2017, as in
// their package shap; Erion et al., "Improving performance of deep learning models with axiomatic attribution priors
// and expected gradients", Nature Machine Intelligence 3 (2021), equation 3.
type GradientSHAP struct {
	// Samples is the number n of draws; 0 means 50.
	Samples int
	// Baselines are images to compare with, [M, H, W, C] float32, such as some of the dataset; nil means black.
	Baselines *tensors.Tensor
	// Level is the standard deviation of Gaussian noise that each draw adds to the image first, as a share of the image's
	// range (its largest value less its smallest); 0 means none.
	Level float64
	// Seed makes the draws: the same images, class and seed give the same result.
	Seed int64
}

// shapDraws are what a sample draws: which baseline, how far along the line, and noise (or nil), [Samples, H, W, C].
type shapDraws struct {
	baselines []int
	alphas    []float64
	noise     *tensors.Tensor
}

// shapKey is the program's, whose draws are arguments.
type shapKey struct{ noise bool }

// Name is "GradientSHAP".
func (GradientSHAP) Name() string { return "GradientSHAP" }

// Attribute implements [Method].
func (gs GradientSHAP) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	samples, count := gs.Samples, 1
	if samples == 0 {
		samples = 50
	}
	if samples < 0 || !(gs.Level >= 0) {
		return nil, fmt.Errorf(
			"attrib: GradientSHAP takes a positive number of samples and a noise level from 0 up, not %d and %v",
			gs.Samples, gs.Level)
	}
	if err := gs.check(m); err != nil {
		return nil, err
	}
	if gs.Baselines != nil {
		count = gs.Baselines.Shape().Dimensions[0]
	}
	rng := rand.New(rand.NewPCG(uint64(gs.Seed), 0))
	var draws shapDraws
	for range samples {
		draws.baselines, draws.alphas = append(draws.baselines, rng.IntN(count)), append(draws.alphas, rng.Float64())
	}
	if gs.Level > 0 {
		var err error
		if draws.noise, err = drawn(m, samples, gs.Seed); err != nil {
			return nil, err
		}
		defer model.Free(draws.noise)
	}
	return gs.attribute(m, images, classes, draws)
}

// check returns an error for baselines that are no images of the model.
func (gs GradientSHAP) check(m *model.Model) error {
	if gs.Baselines == nil {
		return nil
	}
	spec := m.Spec()
	d := gs.Baselines.Shape().Dimensions
	if len(d) != 4 || d[0] < 1 || gs.Baselines.DType() != dtypes.Float32 ||
		!slices.Equal(d[1:], []int{spec.Height, spec.Width, spec.Channels}) {
		return fmt.Errorf("attrib: GradientSHAP's baselines have the shape %s, for this model it is [M, %d, %d, %d] float32",
			gs.Baselines.Shape(), spec.Height, spec.Width, spec.Channels)
	}
	return nil
}

func (gs GradientSHAP) attribute(m *model.Model, images *tensors.Tensor, classes []int, draws shapDraws) (*Attribution,
	error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	baselines := gs.Baselines
	if baselines == nil {
		spec := m.Spec()
		baselines = tensors.FromScalarAndDimensions(float32(0), 1, spec.Height, spec.Width, spec.Channels)
	}
	sigmas, err := ranges(images, gs.Level)
	if err != nil {
		return nil, err
	}
	exec, err := m.Exec(shapKey{draws.noise != nil}, func(in []*graph.Node) *graph.Node {
		x, classes, sigma, baselines, at, which, alpha, weight, sum := m.Cast(in[0]), in[1], m.Cast(in[2]), m.Cast(in[3]),
			in[4], in[5], m.Cast(in[6]), m.Cast(in[7]), in[8]
		count, dims := weight.Shape().Dimensions[0], x.Shape().Dimensions
		to := graph.ExpandAxes(x, 0)
		if len(in) > 9 {
			z := graph.ExpandAxes(m.Cast(graph.Gather(in[9], graph.ExpandAxes(at, -1))), 1)
			to = graph.Add(to, graph.Mul(graph.Reshape(sigma, 1, dims[0], 1, 1, 1), z))
		}
		from := graph.ExpandAxes(graph.Gather(baselines, graph.ExpandAxes(which, -1)), 1) // [A, 1, H, W, C]
		apart := graph.Sub(to, from)                                                      // [A, B, H, W, C]
		line := graph.Add(from, graph.Mul(scalars(alpha), apart))
		points := graph.Reshape(line, count*dims[0], dims[1], dims[2], dims[3])
		gradient := graph.Reshape(classGradient(m, points, tile(classes, count)), line.Shape().Dimensions...)
		return graph.Add(sum, single(graph.ReduceSum(graph.Mul(graph.Mul(gradient, apart), scalars(weight)), 0)))
	})
	if err != nil {
		return nil, err
	}
	at, err := classLogits(m, images, classes)
	if err != nil {
		return nil, err
	}
	from, err := meanLogits(m, baselines, draws.baselines, classes)
	if err != nil {
		return nil, err
	}
	samples := len(draws.alphas)
	weights := make([]float64, samples)
	for i := range weights {
		weights[i] = 1 / float64(samples)
	}
	inputs := []*tensors.Tensor{images, model.ClassTensor(classes), sigmas}
	values, stopped := sweep{m, gs.Name(), samples}.run(inputs, zerosLike(images),
		func(d device, sum *tensors.Tensor, first, count int) (*tensors.Tensor, error) {
			sample, which := make([]int32, count), make([]int32, count) // past the last sample the weight is 0
			for i := range sample {
				sample[i] = int32(min(first+i, samples-1))
				which[i] = int32(draws.baselines[sample[i]])
			}
			args := append(d.inputs[:len(d.inputs):len(d.inputs)], baselines, sample, which, window(draws.alphas, first, count),
				window(weights, first, count), sum)
			if draws.noise != nil {
				args = append(args, draws.noise)
			}
			return exec.Call1(args...)
		})
	if values == nil {
		return nil, stopped
	}
	a := NewAttribution(gs, m, values, classes)
	sums, err := a.Sums()
	if err != nil {
		return nil, err
	}
	for i, sum := range sums {
		a.Delta = append(a.Delta, sum-(float64(at[i])-from[i]))
	}
	return a, stopped
}

// meanLogits is the mean over draws of the baselines' logit of each class.
func meanLogits(m *model.Model, baselines *tensors.Tensor, drawn, classes []int) ([]float64, error) {
	of := map[int]float64{}
	means := make([]float64, len(classes))
	for i, class := range classes {
		if _, known := of[class]; !known {
			all := slices.Repeat([]int{class}, baselines.Shape().Dimensions[0])
			logits, err := classLogits(m, baselines, all)
			if err != nil {
				return nil, err
			}
			for _, b := range drawn {
				of[class] += float64(logits[b]) / float64(len(drawn))
			}
		}
		means[i] = of[class]
	}
	return means, nil
}
