package uncertainty

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAscendingIsAStableSort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, value := range map[string]func() float64{
		"single precision": func() float64 { return float64(r.Float32()) },
		"double precision": func() float64 { return r.Float64() },
		"many equal":       func() float64 { return float64(r.IntN(5)) / 4 },
		"all equal":        func() float64 { return 0.25 },
		"of all sizes":     func() float64 { return math.Exp(-700 * r.Float64()) },
		"two zeros":        func() float64 { return math.Copysign(0, r.Float64()-0.5) },
	} {
		for _, n := range []int{0, 1, 2, 1000} {
			values, want := make([]float64, n), make([]int32, n)
			for i := range values {
				values[i], want[i] = value(), int32(i)
			}
			slices.SortStableFunc(want, func(i, j int32) int { return cmp.Compare(values[i], values[j]) })
			if got := ascending(values); !slices.Equal(got, want) {
				t.Errorf("%s, %d: the order is %v, want %v", name, n, got, want)
			}
		}
	}
}
