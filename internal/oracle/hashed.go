package oracle

import (
	"hash/crc32"

	"github.com/gomlx/gomlx/core/tensors"
)

// Hashed are n numbers in 0..1 that depend on a name and their places, as bench/oracles' hashed makes them: weights and
// images that need not be kept.
func Hashed(name string, n int) []float64 {
	values, start := make([]float64, n), crc32.ChecksumIEEE([]byte(name))
	for i := range values {
		x := uint64(start) + uint64(i)
		for _, step := range [][2]uint64{{16, 0x7FEB352D}, {15, 0x846CA68B}} {
			x = ((x ^ x>>step[0]) * step[1]) & 0xFFFFFFFF
		}
		values[i] = float64(x^x>>16) / (1 << 32)
	}
	return values
}

// HashedWeights are weights of these shapes. value makes a number of one of -1..1, for a weight of so many numbers.
func HashedWeights(shapes map[string][]int, value func(name string, shape []int, size int,
	u float64) float64) map[string]*tensors.Tensor {
	all := map[string]*tensors.Tensor{}
	for name, shape := range shapes {
		size := 1
		for _, d := range shape {
			size *= d
		}
		values := make([]float32, size)
		for i, u := range Hashed(name, size) {
			values[i] = float32(value(name, shape, size, 2*u-1))
		}
		all[name] = tensors.FromFlatDataAndDimensions(values, shape...)
	}
	return all
}
