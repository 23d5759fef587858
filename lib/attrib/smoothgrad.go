package attrib

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// SmoothGrad is the mean gradient over copies of the image with Gaussian noise, [N, H, W, C]:
//
//	1/n Σ ∂F(x + σ·z_i)/∂x, z_i standard normal
//
// All images are given the same z_i, so that an image's result does not depend on which others are explained with it.
//
// Smilkov et al., "SmoothGrad: removing noise by adding noise", arXiv:1706.03825, section 3.
type SmoothGrad struct {
	// Samples is the number n of noisy copies; 0 means 50.
	Samples int
	// Level is σ as a share of the image's range (its largest value less its smallest); 0 means 0.15.
	Level float64
	// Seed makes the noise: the same images, class and seed give the same result.
	Seed int64
	// Noise, if not nil, is used for the z_i: [Samples, H, W, C] float32.
	Noise *tensors.Tensor
}

// Name is "SmoothGrad".
func (SmoothGrad) Name() string { return "SmoothGrad" }

// Attribute implements [Method].
func (sg SmoothGrad) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	samples, level := sg.Samples, sg.Level
	if samples == 0 {
		samples = 50
		if sg.Noise != nil && sg.Noise.Rank() == 4 {
			samples = sg.Noise.Shape().Dimensions[0]
		}
	}
	if level == 0 {
		level = 0.15
	}
	if samples < 0 || !(level > 0) {
		return nil, fmt.Errorf("attrib: SmoothGrad takes a positive number of samples and noise level, not %d and %v", samples, level)
	}
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	spec := m.Spec()
	if sg.Noise != nil && (sg.Noise.DType() != dtypes.Float32 || !sg.Noise.Shape().Equal(shapes.Make(dtypes.Float32, samples, spec.Height, spec.Width, spec.Channels))) {
		return nil, fmt.Errorf("attrib: SmoothGrad's noise has the shape %s, for these images it is [%d, %d, %d, %d] float32", sg.Noise.Shape(), samples, spec.Height, spec.Width, spec.Channels)
	}
	sigmas, err := ranges(images, level)
	if err != nil {
		return nil, err
	}
	noise := sg.Noise
	if noise == nil {
		if noise, err = drawn(m, samples, sg.Seed); err != nil {
			return nil, err
		}
		defer model.Free(noise)
	}
	exec, err := m.Exec(smoothGradKey{}, func(in []*graph.Node) *graph.Node {
		x, classes, sigma, noise, at, weight, sum := m.Cast(in[0]), in[1], m.Cast(in[2]), in[3], in[4], m.Cast(in[5]), in[6]
		count, dims := weight.Shape().Dimensions[0], x.Shape().Dimensions
		z := graph.ExpandAxes(m.Cast(graph.Gather(noise, graph.ExpandAxes(at, -1))), 1) // [A, 1, H, W, C]
		noisy := graph.Add(graph.ExpandAxes(x, 0), graph.Mul(graph.Reshape(sigma, 1, dims[0], 1, 1, 1), z))
		points := graph.Reshape(noisy, count*dims[0], dims[1], dims[2], dims[3])
		gradient := graph.Reshape(classGradient(m, points, tile(classes, count)), noisy.Shape().Dimensions...)
		return graph.Add(sum, single(graph.ReduceSum(graph.Mul(gradient, scalars(weight)), 0)))
	})
	if err != nil {
		return nil, err
	}
	weights := make([]float64, samples)
	for i := range weights {
		weights[i] = 1 / float64(samples)
	}
	s := sweep{m, sg.Name(), samples}
	inputs := []*tensors.Tensor{images, model.ClassTensor(classes), sigmas}
	values, stopped := s.run(inputs, zerosLike(images), func(d device, sum *tensors.Tensor, first, count int) (*tensors.Tensor, error) {
		at := make([]int32, count) // past the last sample the weight is 0
		for i := range at {
			at[i] = int32(min(first+i, samples-1))
		}
		return exec.Call1(append(d.inputs[:len(d.inputs):len(d.inputs)], noise, at, window(weights, first, count), sum)...)
	})
	if values == nil {
		return nil, stopped
	}
	return NewAttribution(sg, m, values, classes), stopped
}

type (
	smoothGradKey struct{}
	noiseKey      struct{ samples int }
)

// drawn are standard normal numbers [samples, H, W, C] on the device.
func drawn(m *model.Model, samples int, seed int64) (*tensors.Tensor, error) {
	spec := m.Spec()
	program, err := m.Exec(noiseKey{samples}, func(state *graph.Node) *graph.Node {
		_, noise := graph.RandomNormal(state, shapes.Make(dtypes.Float32, samples, spec.Height, spec.Width, spec.Channels))
		return noise
	})
	if err != nil {
		return nil, err
	}
	state, err := graph.RNGStateFromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("attrib: %w", err)
	}
	return program.Call1(state)
}

// ranges returns level times (largest - smallest value) of each image, [N].
func ranges(images *tensors.Tensor, level float64) (*tensors.Tensor, error) {
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("attrib: %w", err)
	}
	sigmas := make([]float32, images.Shape().Dimensions[0])
	size := len(flat) / len(sigmas)
	for i := range sigmas {
		low, high := flat[i*size], flat[i*size]
		for _, v := range flat[i*size : (i+1)*size] {
			low, high = min(low, v), max(high, v)
		}
		sigmas[i] = float32(level) * (high - low)
	}
	return tensors.FromFlatDataAndDimensions(sigmas, len(sigmas)), nil
}
