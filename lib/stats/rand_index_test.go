package stats

import (
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// The oracle is scikit-learn: bench/oracles/manifold.py.
func TestAdjustedRandIndex(t *testing.T) {
	const file = "../manifold/testdata/digits.npz"
	a, b := oracle.Read[int64](t, file, "clusters_a"), oracle.Read[int64](t, file, "clusters_b")
	want := oracle.Read[float64](t, file, "adjusted_rand")
	for r, w := range want {
		var x, y []int
		for i := range 60 {
			x, y = append(x, int(a[r*60+i])), append(y, int(b[r*60+i]))
		}
		got, err := AdjustedRandIndex(x, y)
		if err != nil || !approx.Equal(got, w, 1e-12) {
			t.Errorf("%v, %v, want %v", got, err, w)
		}
	}
	for _, c := range []struct {
		a, b []int
		want float64
	}{
		{[]int{0, 0, 1, 1}, []int{7, 7, 3, 3}, 1},
		{[]int{0, 0, 0}, []int{1, 1, 1}, 1},
		{[]int{0, 1, 2}, []int{2, 0, 1}, 1},
		{[]int{0, 0, 0, 0}, []int{0, 1, 2, 3}, 0},
	} {
		if got, err := AdjustedRandIndex(c.a, c.b); err != nil || got != c.want {
			t.Errorf("%v and %v: %v, %v, want %v", c.a, c.b, got, err, c.want)
		}
	}
	for _, c := range [][2][]int{{nil, nil}, {{1}, {1, 2}}} {
		if _, err := AdjustedRandIndex(c[0], c[1]); err == nil {
			t.Errorf("no error for %v", c)
		}
	}
}
