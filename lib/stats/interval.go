// Package stats has the intervals, fits and scores that turn counts into claims.
package stats

import (
	"fmt"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is a confidence interval, both ends included.
type Interval struct{ Low, High float64 }

// ClopperPearson returns the exact confidence interval of a proportion after
// successes out of trials, at confidence level 1-alpha:
//
//	Low  = Beta(alpha/2;   successes,   trials-successes+1)
//	High = Beta(1-alpha/2; successes+1, trials-successes)
//
// with Low = 0 when there is no success and High = 1 when there is no failure. The
// interval covers at least 1-alpha whatever the true proportion, so it is wide on
// small samples. It returns an error unless 0 <= successes <= trials, trials > 0 and
// 0 < alpha < 1. Clopper and Pearson, Biometrika 26 (1934).
func ClopperPearson(successes, trials int, alpha float64) (Interval, error) {
	if trials <= 0 {
		return Interval{}, fmt.Errorf("stats: no interval from %d trials: it takes at least one", trials)
	}
	if successes < 0 || successes > trials {
		return Interval{}, fmt.Errorf("stats: %d successes in %d trials cannot be", successes, trials)
	}
	if !(alpha > 0 && alpha < 1) {
		return Interval{}, fmt.Errorf("stats: alpha is %v, it lies between 0 and 1 (0.05 gives a 95%% interval)", alpha)
	}
	k, n := float64(successes), float64(trials)
	iv := Interval{Low: 0, High: 1}
	if successes > 0 {
		iv.Low = distuv.Beta{Alpha: k, Beta: n - k + 1}.Quantile(alpha / 2)
	}
	if successes < trials {
		iv.High = distuv.Beta{Alpha: k + 1, Beta: n - k}.Quantile(1 - alpha/2)
	}
	return iv, nil
}
