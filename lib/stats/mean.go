package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// MeanInterval returns the mean of values and Student's confidence interval of it at confidence level 1-alpha:
//
//	mean ± t(1-alpha/2; n-1) · s/√n, s² = Σ(v-mean)²/(n-1)
//
// It takes the values to be independent and, when they are few, roughly normal. It returns an error unless there are at
// least two, all finite, and 0 < alpha < 1. Student, Biometrika 6 (1908).
func MeanInterval(values []float64, alpha float64) (float64, Interval, error) {
	if len(values) < 2 {
		return 0, Interval{}, fmt.Errorf("stats: no interval from %d values: it takes at least two", len(values))
	}
	if !(alpha > 0 && alpha < 1) {
		return 0, Interval{}, fmt.Errorf("stats: alpha is %v, it lies between 0 and 1 (0.05 gives a 95%% interval)", alpha)
	}
	for i, v := range values {
		if v-v != 0 { // no finite number
			return 0, Interval{}, fmt.Errorf("stats: value %d is %v", i, v)
		}
	}
	mean, std := stat.MeanStdDev(values, nil)
	n := float64(len(values))
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(1-alpha/2) * std / math.Sqrt(n)
	return mean, Interval{mean - half, mean + half}, nil
}
