package pixels

import "math"

// Five loops that most corruptions spend their time in have vector instructions on amd64 (vector_amd64.s). Each has the
// same result, to the bit, without them, on other processors and for what is left over: what is not a multiple of
// eight.

// WeightedSum sets to[i] to the sum of weights[k]*from[at[k]+i] over all k. to may not overlap from. The terms are
// added in their order and each is rounded by itself.
func WeightedSum[T float32 | float64](to, from []T, at []int, weights []T) {
	for k := range weights {
		_ = from[at[k] : at[k]+len(to)] // what lies outside panics here
	}
	done := 0
	if to, ok := any(to).([]float32); ok {
		done = weightedSum(to, any(from).([]float32), at, any(weights).([]float32))
	}
	to = to[done:]
	clear(to)
	for k, weight := range weights {
		for i, v := range from[at[k]+done:][:len(to)] {
			to[i] += T(weight * v)
		}
	}
}

// FromUint8 brings 8 bits to 0..1. to has as many values as from.
func FromUint8(to []float32, from []uint8) {
	to = to[:len(from)]
	for i := fromUint8(to, from); i < len(from); i++ {
		to[i] = Unit8[from[i]]
	}
}

// Unit8 are the 256 levels of 8 bits, in 0..1.
var Unit8 [256]float32

func init() {
	for i := range Unit8 {
		Unit8[i] = float32(i) / 255
	}
}

// Clamp puts numbers below 0 to 0 and those above 1 to 1.
func Clamp(values []float32) {
	rest := values[clamp(values):]
	for i, v := range rest {
		rest[i] = Clamped(v)
	}
}

// Clamped looks at the bits as integers. Of numbers from 0 to 1 they have the numbers' order, and those of negative
// numbers are negative: so there is no branch, which noise would make processors take in vain.
func Clamped(v float32) float32 {
	return math.Float32frombits(uint32(min(max(int32(math.Float32bits(v)), 0), int32(math.Float32bits(1)))))
}

// Extremes are the least and the largest of at least one value.
func Extremes(values []float32) (low, high float32) {
	low, high, done := extremes(values)
	for _, v := range values[done:] {
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	return low, high
}

// Chamfer lowers distances to what those of the row before, which has two more at either end, and of the row before
// that, which has one more, come to: with straight added to the one beside, diagonal to the next two, and knight to
// those a knight's move away.
func Chamfer(row, before, two []int32, straight, diagonal, knight int32) {
	before, two = before[:len(row)+4], two[:len(row)+2]
	for x := chamfer(row, before, two, straight, diagonal, knight); x < len(row); x++ {
		b, t := before[x:x+5], two[x:x+3]
		row[x] = min(row[x], b[2]+straight, min(b[1], b[3])+diagonal, min(b[0], b[4], t[0], t[2])+knight)
	}
}
