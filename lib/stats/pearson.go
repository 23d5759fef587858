package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Pearson returns the correlation of pairs and its interval at confidence level 1-alpha by Fisher's transformation:
//
//	tanh(atanh r ± z(1-alpha/2)/√(n-3))
//
// It takes the pairs to be independent and roughly normal. It is an error where there are fewer than four, one is not
// finite, or all of x or all of y are equal. Fisher, Metron 1 (1921).
func Pearson(x, y []float64, alpha float64) (r float64, iv Interval, err error) {
	if len(x) != len(y) || len(x) < 4 {
		return 0, iv, fmt.Errorf("stats: no correlation with an interval from %d and %d values: it takes four pairs",
			len(x), len(y))
	}
	if !(alpha > 0 && alpha < 1) {
		return 0, iv, fmt.Errorf("stats: alpha is %v, it lies between 0 and 1 (0.05 gives a 95%% interval)", alpha)
	}
	for i := range x {
		if x[i]-x[i]+y[i]-y[i] != 0 { // one is no finite number
			return 0, iv, fmt.Errorf("stats: pair %d is %v, %v", i, x[i], y[i])
		}
	}
	if r = stat.Correlation(x, y, nil); math.IsNaN(r) {
		return 0, iv, fmt.Errorf("stats: no correlation of values that are all equal")
	}
	half := distuv.UnitNormal.Quantile(1-alpha/2) / math.Sqrt(float64(len(x)-3))
	z := math.Atanh(r)
	return r, Interval{math.Tanh(z - half), math.Tanh(z + half)}, nil
}
