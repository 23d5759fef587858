package uncertainty

import (
	"math"
	"math/bits"
)

// ascending returns the numbers of values from the smallest to the largest, of equal ones in the order that they come
// in. The values are not negative and not NaN.
//
// The bits of such values are ordered as they are, so this is a radix sort: by a few of the bits in which values differ
// at a time, from the lowest to the highest.
func ascending(values []float64) []int32 {
	order, others := make([]int32, len(values)), make([]int32, len(values))
	key := func(i int32) uint64 { return math.Float64bits(values[i] + 0) } // -0 is 0
	var differ uint64
	for i := range order {
		order[i] = int32(i)
		differ |= key(int32(i)) ^ key(0)
	}
	const digits = 1 << 11
	for shift := bits.TrailingZeros64(differ); differ>>shift != 0; shift += 11 {
		var next [digits]int32 // how many have a digit, then where the next of these goes
		for _, i := range order {
			next[key(i)>>shift%digits]++
		}
		begin := int32(0)
		for digit, count := range next {
			next[digit] = begin
			begin += count
		}
		for _, i := range order {
			at := &next[key(i)>>shift%digits]
			others[*at] = i
			*at++
		}
		order, others = others, order
	}
	return order
}
