package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Paired is how two classifiers do on the same examples: how many both have right, one alone, or neither. Their
// difference rests on the examples that one alone has right, so it is known better than from the two accuracies.
type Paired struct {
	Both, First, Second, Neither int
}

// PairedOf counts, from whether each example is classified rightly by the first and by the second.
func PairedOf(first, second []bool) (Paired, error) {
	var p Paired
	if len(first) != len(second) {
		return p, fmt.Errorf("stats: %d answers of the first classifier and %d of the second: pairs are of the same examples",
			len(first), len(second))
	}
	if len(first) == 0 {
		return p, fmt.Errorf("stats: no examples to compare two classifiers on")
	}
	for i, right := range first {
		switch {
		case right && second[i]:
			p.Both++
		case right:
			p.First++
		case second[i]:
			p.Second++
		default:
			p.Neither++
		}
	}
	return p, nil
}

// Total is the number of examples.
func (p Paired) Total() int { return p.Both + p.First + p.Second + p.Neither }

// Difference is the second's accuracy less the first's, -1 to 1; NaN of no examples.
func (p Paired) Difference() float64 { return float64(p.Second-p.First) / float64(p.Total()) }

// Interval is the 95% interval of the difference: see [Paired.IntervalAt].
func (p Paired) Interval() Interval {
	iv, err := p.IntervalAt(0.05)
	if err != nil { // of no examples nothing is known
		return Interval{-1, 1}
	}
	return iv
}

// IntervalAt is the interval of the difference at confidence level 1-alpha, after one example each has been added to
// those that the first and that the second alone has right:
//
//	s - f ± z(1-alpha/2) √((s + f - (s - f)²) / (n + 2)), s = (Second + 1)/(n + 2), f = (First + 1)/(n + 2)
//
// It keeps its level with few examples and where the classifiers hardly differ, as Wald's does not. Bonett and Price,
// "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data", Journal of
// Educational and Behavioral Statistics 37 (2012). It is an error where there are no examples, a count is
// negative, or alpha does not lie between 0 and 1.
func (p Paired) IntervalAt(alpha float64) (Interval, error) {
	if min(p.Both, p.First, p.Second, p.Neither) < 0 || p.Total() == 0 {
		return Interval{}, fmt.Errorf("stats: no interval of %d examples that both have right, %d and %d that the first "+
			"and the second alone has, and %d that neither has", p.Both, p.First, p.Second, p.Neither)
	}
	if !(alpha > 0 && alpha < 1) {
		return Interval{}, fmt.Errorf("stats: alpha is %v, it lies between 0 and 1 (0.05 gives a 95%% interval)", alpha)
	}
	n := float64(p.Total() + 2)
	s, f := float64(p.Second+1)/n, float64(p.First+1)/n
	d := s - f
	half := distuv.UnitNormal.Quantile(1-alpha/2) * math.Sqrt((s+f-d*d)/n)
	return Interval{max(d-half, -1), min(d+half, 1)}, nil
}

// McNemar is the p-value of the two-sided exact test that both classifiers are equally accurate: whether the examples
// that one alone has right fall to the first and to the second as coins do. 1 where there are none. McNemar,
// Psychometrika 12 (1947).
func (p Paired) McNemar() float64 {
	n := p.First + p.Second
	if n == 0 {
		return 1
	}
	return min(1, 2*distuv.Binomial{N: float64(n), P: 0.5}.CDF(float64(min(p.First, p.Second))))
}

// String is such as "+2.0 points (0.5 to 3.5), McNemar's p = 0.012".
func (p Paired) String() string {
	iv := p.Interval()
	return fmt.Sprintf("%+.1f points (%+.1f to %+.1f), McNemar's p = %.2g", 100*p.Difference(), 100*iv.Low, 100*iv.High,
		p.McNemar())
}

// Table is one row.
func (p Paired) Table() table.Table {
	t := table.Table{Header: []string{"examples", "both right", "the first alone", "the second alone", "neither",
		"difference", "McNemar's p"}}
	iv := p.Interval()
	t.Add(p.Total(), p.Both, p.First, p.Second, p.Neither, table.Rate{Value: p.Difference(), Low: iv.Low, High: iv.High},
		p.McNemar())
	return t
}

// Bundle shows the table.
func (p Paired) Bundle() mime.Bundle { return p.Table().Bundle() }
