package oracle

import (
	"math"

	"github.com/gomlx/gomlx/core/tensors"
)

// Sines are weights that the programs of bench/oracles make as well, so that no file has to hold them: element i, row
// by row, is scale · sin(12.9898 (start + i)).
func Sines(scale, start float64, dims ...int) *tensors.Tensor {
	return waves(0, scale, 12.9898, start, dims)
}

// Pixels are images likewise, in 0..1: element i is 0.5 + 0.5 sin(78.233 i).
func Pixels(dims ...int) *tensors.Tensor { return waves(0.5, 0.5, 78.233, 0, dims) }

func waves(mean, scale, frequency, start float64, dims []int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(mean + scale*math.Sin(frequency*(float64(i)+start)))
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}
