package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Bootstrap returns the percentile interval at confidence level 1-alpha of a statistic of n things: the quantiles
// alpha/2 and 1-alpha/2 of the statistic of as many samples as draws says, each of n of the things drawn with
// replacement, by their numbers 0 to n-1. The same seed draws the same samples. Samples in which the statistic is not
// defined, NaN, are left out; it is an error when these are more than one in ten. Efron and Tibshirani, "An
// introduction to the bootstrap", 1993, section 13.3.
//
// With few things the interval is too narrow: below ten, take it as a rough guide.
func Bootstrap(n, draws int, alpha float64, seed uint64, statistic func(sample []int) float64) (Interval, error) {
	var values []float64
	if err := resample(n, draws, alpha, seed, func(sample []int) {
		values = append(values,
			statistic(sample))
	}); err != nil {
		return Interval{}, err
	}
	return percentile(values, draws, alpha)
}

// resample draws samples.
func resample(n, draws int, alpha float64, seed uint64, each func(sample []int)) error {
	switch {
	case n < 2 || draws < 10:
		return fmt.Errorf("stats: a bootstrap of %d things in %d draws: it takes two things and ten draws or more", n, draws)
	case !(alpha > 0 && alpha < 1):
		return fmt.Errorf("stats: alpha is %v, it lies between 0 and 1 (0.05 gives a 95%% interval)", alpha)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	sample := make([]int, n)
	for range draws {
		for i := range sample {
			sample[i] = rng.IntN(n)
		}
		each(sample)
	}
	return nil
}

// percentile is the interval of a statistic's values in the draws.
func percentile(of []float64, draws int, alpha float64) (Interval, error) {
	var values []float64
	for _, v := range of {
		if !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if 10*len(values) < 9*draws {
		return Interval{}, fmt.Errorf("stats: the statistic is not defined in %d of %d samples", draws-len(values), draws)
	}
	slices.Sort(values)
	return Interval{stat.Quantile(alpha/2, stat.LinInterp, values, nil), stat.Quantile(1-alpha/2, stat.LinInterp,
		values, nil)}, nil
}
