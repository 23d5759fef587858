package labels

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/model"
)

// AccuracyCorrelation asks whether the models that are better on a test set are better on some of its examples too,
// such as on those whose label was wrong: by the correlation over models of the accuracy on all other examples with
// that on these. Northcutt, Athalye and Mueller 2021, section 5, ask it of orders.
type AccuracyCorrelation struct {
	Models []*model.Answers
	Given  []int // the labels
	Draws  int   // of the bootstraps; 0 means 2,000
}

// Of claims the correlation on the examples whose label corrected changes, twice: by the given labels and by the
// corrected ones. [Unknown] is no change. The control is that on as many of the examples standing, the first of them,
// such as hard examples whose label is right. Claims are named "r, NAME, by the given labels" and "r, NAME, by the
// corrected labels".
//
// The intervals, at 95%, are bootstraps that draw models and the examples of each set; the same models for both. A draw
// in which a correlation is not defined is left out; it is an error where these are more than one in ten.
func (l AccuracyCorrelation) Of(name string, corrected, standing []int) (claim.Claims, error) {
	if len(l.Models) < 3 || len(corrected) != len(l.Given) {
		return nil, fmt.Errorf("labels: %s: %d models, %d labels and %d corrected ones: it takes three models, and one of "+
			"each label for every example",
			name, len(l.Models), len(l.Given), len(corrected))
	}
	var changed []int
	for i, y := range corrected {
		if y != l.Given[i] && y != Unknown {
			changed = append(changed, i)
		}
	}
	if len(changed) == 0 || len(standing) < len(changed) {
		return nil, fmt.Errorf(
			"labels: %s: %d labels are changed and %d examples stand: it takes one, and as many to compare with",
			name, len(changed), len(standing))
	}
	control, err := l.lead(standing[:len(changed)], l.Given)
	if err != nil {
		return nil, fmt.Errorf("labels: %s: %w", name, err)
	}
	var all claim.Claims
	for _, by := range []struct {
		name    string
		answers []int
	}{{"given", l.Given}, {"corrected", corrected}} {
		of, err := l.lead(changed, by.answers)
		if err != nil {
			return nil, fmt.Errorf("labels: %s: %w", name, err)
		}
		differences := make([]float64, len(of.drawn))
		for i := range differences {
			differences[i] = of.drawn[i] - control.drawn[i]
		}
		c := claim.Claim{Name: "r, " + name + ", by the " + by.name + " labels", Unit: "networks", N: len(l.Models), Seeds: 1,
			Control: fmt.Sprintf("%d hard images whose label stands", len(changed)), Paired: true,
			Value: of.r, ControlValue: control.r, Difference: of.r - control.r}
		for _, m := range []struct {
			low, high *float64
			drawn     []float64
		}{{&c.Low, &c.High, of.drawn}, {&c.ControlLow, &c.ControlHigh, control.drawn},
			{&c.DifferenceLow, &c.DifferenceHigh, differences}} {
			if *m.low, *m.high, err = middle(m.drawn); err != nil {
				return nil, fmt.Errorf("labels: %s: %w", c.Name, err)
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// lead is a correlation over models, and what it is of drawn models and examples.
type lead struct {
	r     float64
	drawn []float64
}

// lead correlates the accuracy on all examples but some with that on these by answers.
func (l AccuracyCorrelation) lead(at, answers []int) (lead, error) {
	without := map[int]bool{}
	for _, i := range at {
		if i < 0 || i >= len(l.Given) {
			return lead{}, fmt.Errorf("there is no example %d", i)
		}
		without[i] = true
	}
	rest, hit, sums := make([]float64, len(l.Models)), make([][]float64, len(l.Models)), make([]float64, len(l.Models))
	for m, of := range l.Models {
		predicted, err := of.Predicted()
		if err != nil {
			return lead{}, err
		}
		if len(predicted) != len(l.Given) {
			return lead{}, fmt.Errorf("%d predictions of %s for %d examples", len(predicted), of.Model, len(l.Given))
		}
		for i, y := range predicted {
			if !without[i] && y == l.Given[i] {
				rest[m]++
			}
		}
		hit[m] = make([]float64, len(at))
		for k, i := range at {
			if predicted[i] == answers[i] {
				hit[m][k] = 1
				sums[m]++
			}
		}
	}
	of := lead{r: stat.Correlation(rest, sums, nil)}
	if math.IsNaN(of.r) {
		return of, fmt.Errorf("all models are right about as many examples: there is no correlation")
	}
	models, examples := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, uint64(len(at)+at[0])))
	x, y, some := make([]float64, len(l.Models)), make([]float64, len(l.Models)), make([]int, len(at))
	for range cmp.Or(l.Draws, 2000) {
		for i := range some {
			some[i] = examples.IntN(len(at))
		}
		for k := range x {
			m := models.IntN(len(l.Models))
			x[k], y[k] = rest[m], 0
			for _, i := range some {
				y[k] += hit[m][i]
			}
		}
		of.drawn = append(of.drawn, stat.Correlation(x, y, nil))
	}
	return of, nil
}

// middle is where 95% of the draws lie.
func middle(drawn []float64) (low, high float64, err error) {
	values := slices.DeleteFunc(slices.Clone(drawn), math.IsNaN)
	if len(values) < 10 || 10*len(values) < 9*len(drawn) {
		return 0, 0, fmt.Errorf("r is defined in %d of %d draws", len(values), len(drawn))
	}
	slices.Sort(values)
	return stat.Quantile(0.025, stat.Empirical, values, nil), stat.Quantile(0.975, stat.Empirical, values, nil), nil
}
