package stats

import (
	"math"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
)

// The figures are scipy.stats.spearmanr's, SciPy 1.17.1.
func TestSpearmanIsScipys(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		want float64
	}{
		{[]float64{1, 2, 2, 3, 5, 5, 5, 9}, []float64{3, 1, 4, 1, 5, 9, 2, 6}, 0.5495502618648208},
		{[]float64{0.5, -1, 3, 2, 2}, []float64{1, 2, 3, 4, 5}, 0.5642880936468347},
		{[]float64{1, 2}, []float64{2, 1}, -1},
		{[]float64{math.Inf(-1), 0, math.Inf(1)}, []float64{1, 2, 300}, 1},
	} {
		got, err := Spearman(c.x, c.y)
		if err != nil || !approx.Equal(got, c.want, 1e-14) {
			t.Errorf("%v and %v: %v, %v, want %v", c.x, c.y, got, err, c.want)
		}
	}
	if rho, err := Spearman([]float64{1, 2, 3}, []float64{4, 4, 4}); err != nil || !math.IsNaN(rho) {
		t.Errorf("of values that are all equal: %v, %v, want NaN", rho, err)
	}
	for _, c := range [][2][]float64{{{1, 2}, {1}}, {{1}, {1}}, {nil, nil}, {{1, math.NaN()}, {1, 2}},
		{{1, 2}, {math.NaN(), 2}}} {
		if rho, err := Spearman(c[0], c[1]); err == nil {
			t.Errorf("%v and %v: %v", c[0], c[1], rho)
		}
	}
}
