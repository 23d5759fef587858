package stats

import (
	"math"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
)

// The figures are scipy.stats.pearsonr's and its confidence_interval's (SciPy 1.17.1).
func TestPearsonAgreesWithSciPy(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6.5, 8}
	y := []float64{2.1, 1.9, 3.6, 3.4, 5.9, 5.2, 9}
	r, iv, err := Pearson(x, y, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]float64{{r, 0.9315703862966491}, {iv.Low, 0.5980844429462107}, {iv.High, 0.9900688370977492}} {
		if !approx.Equal(c[0], c[1], 1e-12) {
			t.Errorf("got %v, want %v", c[0], c[1])
		}
	}
	for _, bad := range [][2][]float64{{x[:3], y[:3]}, {x, y[:6]}, {x, []float64{1, 1, 1, 1, 1, 1, 1}},
		{x, []float64{1, 1, 1, 1, 1, 1, math.NaN()}}} {
		if _, _, err := Pearson(bad[0], bad[1], 0.05); err == nil {
			t.Errorf("%v and %v have a correlation", bad[0], bad[1])
		}
	}
}
