// Package approx compares numbers in tests. What is no number is near nothing: a test that asks whether a difference is
// too large passes with NaN, and one that asks whether it is small enough fails.
package approx

import (
	"fmt"
	"math"
)

type number interface {
	~int | ~int64 | ~float32 | ~float64
}

// Equal says whether got is at most within away from want. An infinity is near itself only.
func Equal[G, W number](got G, want W, within float64) bool {
	g, w := float64(got), float64(want)
	return g == w || math.Abs(g-w) <= within && !math.IsInf(g, 0) && !math.IsInf(w, 0)
}

// All compares slices, and tells of another length and of the worst of all values that are not [Equal].
func All[G, W number](got []G, want []W, within float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d values, want %d", len(got), len(want))
	}
	at, worst, many := -1, 0.0, 0
	for i := range got {
		if Equal(got[i], want[i], within) {
			continue
		}
		many++
		if d := math.Abs(float64(got[i]) - float64(want[i])); at < 0 || d > worst || math.IsNaN(d) {
			at, worst = i, d
		}
	}
	if at < 0 {
		return nil
	}
	return fmt.Errorf("%d of %d values are more than %g off, the worst at %d: %v, want %v", many, len(got), within, at,
		got[at], want[at])
}
