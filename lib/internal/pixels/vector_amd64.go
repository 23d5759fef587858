package pixels

import (
	"slices"

	"golang.org/x/sys/cpu"
)

// eights is how many of n values vectors of eight have room for: none where the processor has none of AVX2.
func eights(n int) int {
	if !cpu.X86.HasAVX2 {
		return 0
	}
	return n &^ 7
}

// weightedSum is WeightedSum of the first values; it returns how many.
func weightedSum(to, from []float32, at []int, weights []float32) (done int) {
	if done = eights(len(to)); done > 0 && len(weights) > 0 {
		weightedSumAVX2(&to[0], done, &from[0], &at[0], &weights[0], len(weights))
		return done
	}
	return 0
}

// fromUint8 is FromUint8 of the first values; it returns how many.
func fromUint8(to []float32, from []uint8) (done int) {
	if done = eights(len(from)); done > 0 {
		fromUint8AVX2(&to[0], &from[0], done)
	}
	return done
}

// clamp is Clamp of the first values; it returns how many.
func clamp(values []float32) (done int) {
	if done = eights(len(values)); done > 0 {
		clampAVX2(&values[0], done)
	}
	return done
}

// extremes are those of the first values; it returns how many.
func extremes(values []float32) (low, high float32, done int) {
	if done = eights(len(values)); done > 0 {
		var lows, highs [8]float32
		extremesAVX2(&values[0], done, &lows, &highs)
		return slices.Min(lows[:]), slices.Max(highs[:]), done
	}
	return values[0], values[0], 0
}

// chamfer is Chamfer of the first distances; it returns how many.
func chamfer(row, before, two []int32, straight, diagonal, knight int32) (done int) {
	if done = eights(len(row)); done > 0 {
		chamferAVX2(&row[0], &before[0], &two[0], done, straight, diagonal, knight)
	}
	return done
}

// In all of these n is a multiple of 8 and not 0.

//go:noescape
func weightedSumAVX2(to *float32, n int, from *float32, at *int, weights *float32, terms int)

//go:noescape
func fromUint8AVX2(to *float32, from *uint8, n int)

//go:noescape
func clampAVX2(values *float32, n int)

//go:noescape
func extremesAVX2(values *float32, n int, lows, highs *[8]float32)

//go:noescape
func chamferAVX2(row, before, two *int32, n int, straight, diagonal, knight int32)
