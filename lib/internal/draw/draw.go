// Package draw draws the random weights that layers begin with.
package draw

import (
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"
)

// Number draws one number.
type Number func(*rand.Rand) float64

// Tensor is a float32 tensor of drawn numbers.
func Tensor(rng *rand.Rand, number Number, dims ...int) *tensors.Tensor {
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float32, size)
	for i := range values {
		values[i] = float32(number(rng))
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// Constant is always c.
func Constant(c float64) Number { return func(*rand.Rand) float64 { return c } }

// Normal has the mean 0 and that standard deviation.
func Normal(std float64) Number {
	return func(r *rand.Rand) float64 { return std * r.NormFloat64() }
}

// Uniform is PyTorch's for convolutions and linear layers and their biases: between ±1/√fan-in.
func Uniform(fanIn int) Number {
	bound := 1 / math.Sqrt(float64(fanIn))
	return func(r *rand.Rand) float64 { return bound * (2*r.Float64() - 1) }
}
