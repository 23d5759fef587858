package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Spearman returns the rank correlation of pairs: Pearson's correlation of their ranks, where equal values share the
// mean of theirs. It lies in -1..1, and is NaN where all of x or all of y are equal. It is an error where there are
// fewer than two pairs or one has a NaN. Spearman, American Journal of Psychology 15 (1904).
func Spearman(x, y []float64) (float64, error) {
	if len(x) != len(y) || len(x) < 2 {
		return 0, fmt.Errorf("stats: no rank correlation of %d and %d values: it takes two pairs or more", len(x), len(y))
	}
	for i := range x {
		if math.IsNaN(x[i]) || math.IsNaN(y[i]) {
			return 0, fmt.Errorf("stats: pair %d is %v, %v", i, x[i], y[i])
		}
	}
	return stat.Correlation(ranks(x), ranks(y), nil), nil
}

// ranks are the places of values in ascending order, from 0; equal ones share the mean of theirs.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(values))
	for first := 0; first < len(order); {
		end := first + 1
		for end < len(order) && values[order[end]] == values[order[first]] {
			end++
		}
		for _, i := range order[first:end] {
			out[i] = float64(first+end-1) / 2
		}
		first = end
	}
	return out
}
