package stats

import (
	"math"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
)

// The interval of 1, 2, 3, 4 is what scipy.stats.t.interval(0.95, 3, 2.5, scipy.stats.sem([1, 2, 3, 4])) gives.
func TestMeanInterval(t *testing.T) {
	mean, iv, err := MeanInterval([]float64{1, 2, 3, 4}, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	if mean != 2.5 || !approx.Equal(iv.Low, 0.44573974323947924, 1e-9) || !approx.Equal(iv.High, 4.554260256760521, 1e-9) {
		t.Errorf("%v %v", mean, iv)
	}
	for _, bad := range [][]float64{nil, {1}, {1, math.NaN()}, {math.Inf(1), 2}} {
		if _, _, err := MeanInterval(bad, 0.05); err == nil {
			t.Errorf("%v has an interval", bad)
		}
	}
	if _, _, err := MeanInterval([]float64{1, 2}, 1); err == nil {
		t.Error("alpha 1 is taken")
	}
}
