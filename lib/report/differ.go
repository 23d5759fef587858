package report

import (
	"math"

	"github.com/loupeml/loupe/lib/stats"
)

// fewer is how much lower the second share is than the first, and an interval of that at confidence level 1-alpha: the
// exact intervals of both, squared and added (Newcombe, Statistics in Medicine 17 (1998), method 10, with exact limits
// for Wilson's). It takes the two for independent; of the same images seen twice it is wider than it need be.
func fewer(first, second stats.Accuracy, alpha float64) (float64, stats.Interval, error) {
	one, err := first.IntervalAt(alpha)
	if err != nil {
		return 0, stats.Interval{}, err
	}
	two, err := second.IntervalAt(alpha)
	if err != nil {
		return 0, stats.Interval{}, err
	}
	p, q := first.Share(), second.Share()
	d := p - q
	return d, stats.Interval{
		Low:  d - math.Hypot(p-one.Low, two.High-q),
		High: d + math.Hypot(one.High-p, q-two.Low),
	}, nil
}

// share counts.
func share(k, n int) (float64, stats.Interval) {
	a := stats.Accuracy{Correct: k, Total: n}
	return a.Share(), a.Interval()
}
