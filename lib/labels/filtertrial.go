package labels

import (
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// FilterTrial is what filters take of labels whose errors are known.
type FilterTrial struct {
	Examples int // how many there are
	Wrong    int // how many labels are wrong
	Joint    int // how many the calibrated joint takes to be wrong ([ConfidentJoint.Errors])

	filters []Filter
	issues  []*Issues
	right   []int // how many issues of each filter have a wrong label
}

// TryFilters runs filters on labels, of which those are wrong that are not true. p is as in [FindLabelIssues].
func TryFilters(p Probabilities, given, truth []int, filters ...Filter) (*FilterTrial, error) {
	if len(given) != len(truth) || len(filters) == 0 {
		return nil, fmt.Errorf("labels: %d labels, %d true ones and %d filters: give a true one for each, and a filter",
			len(given), len(truth), len(filters))
	}
	joint, err := EstimateJoint(p, given)
	if err != nil {
		return nil, err
	}
	t := &FilterTrial{Examples: len(given), Joint: joint.Errors(), filters: filters}
	for i, y := range given {
		if y != truth[i] {
			t.Wrong++
		}
	}
	if t.Wrong == 0 {
		return nil, fmt.Errorf("labels: all %d labels are true: there is nothing to find", len(given))
	}
	for _, f := range filters {
		found, err := FindLabelIssues(p, given, Options{Filter: f})
		if err != nil {
			return nil, err
		}
		right := 0
		for _, i := range found.List {
			if given[i.Index] != truth[i.Index] {
				right++
			}
		}
		t.issues, t.right = append(t.issues, found), append(t.right, right)
	}
	return t, nil
}

// Issues are those that a filter takes.
func (t *FilterTrial) Issues(f Filter) (*Issues, error) {
	k := slices.Index(t.filters, f)
	if k < 0 {
		return nil, fmt.Errorf("labels: %q was not tried: there are %v", f, t.filters)
	}
	return t.issues[k], nil
}

// Bundle shows the table of [FilterTrials].
func (t *FilterTrial) Bundle() mime.Bundle { return FilterTrials{t}.Bundle() }

// FilterTrials are trials of the same filters with several draws of labels. What they return is in percent, one value
// for each trial.
type FilterTrials []*FilterTrial

// Noise is the share of the labels that is wrong.
func (all FilterTrials) Noise() []float64 {
	return all.each(func(t *FilterTrial) float64 { return share(t.Wrong, t.Examples) })
}

// Joint is the share of the labels that the calibrated joint takes to be wrong.
func (all FilterTrials) Joint() []float64 {
	return all.each(func(t *FilterTrial) float64 { return share(t.Joint, t.Examples) })
}

// Taken is the share of the examples that a filter takes.
func (all FilterTrials) Taken(f Filter) ([]float64, error) {
	return all.of(f, func(t *FilterTrial, k int) float64 { return share(len(t.issues[k].List), t.Examples) })
}

// Precision is the share of what a filter takes that is wrong; by chance it is the noise. It is an error where a filter
// takes nothing.
func (all FilterTrials) Precision(f Filter) ([]float64, error) {
	for _, t := range all {
		if k := slices.Index(t.filters, f); k >= 0 && len(t.issues[k].List) == 0 {
			return nil, fmt.Errorf("labels: %q takes no label: its precision is not defined", f)
		}
	}
	return all.of(f, func(t *FilterTrial, k int) float64 { return share(t.right[k], len(t.issues[k].List)) })
}

// Recall is the share of what is wrong that a filter takes; by chance it is the share that it takes of all.
func (all FilterTrials) Recall(f Filter) ([]float64, error) {
	return all.of(f, func(t *FilterTrial, k int) float64 { return share(t.right[k], t.Wrong) })
}

func share(k, n int) float64 { return 100 * float64(k) / float64(n) }

func (all FilterTrials) each(value func(*FilterTrial) float64) []float64 {
	values := make([]float64, len(all))
	for i, t := range all {
		values[i] = value(t)
	}
	return values
}

func (all FilterTrials) of(f Filter, value func(t *FilterTrial, k int) float64) ([]float64, error) {
	values := make([]float64, len(all))
	for i, t := range all {
		k := slices.Index(t.filters, f)
		if k < 0 {
			return nil, fmt.Errorf("labels: %q was not tried: there are %v", f, t.filters)
		}
		values[i] = value(t, k)
	}
	return values, nil
}

// Table has a row for each filter: the means over the trials of the share of the examples that it takes, of its
// precision and of its recall.
func (all FilterTrials) Table() (table.Table, error) {
	t := table.Table{Header: []string{"filter", "issues", "precision", "recall"}}
	if len(all) == 0 {
		return t, fmt.Errorf("labels: there are no trials of filters")
	}
	for _, f := range all[0].filters {
		row := []any{f.String()}
		for _, measure := range []func(Filter) ([]float64, error){all.Taken, all.Precision, all.Recall} {
			values, err := measure(f)
			if err != nil {
				return t, err
			}
			var sum float64
			for _, v := range values {
				sum += v
			}
			row = append(row, fmt.Sprintf("%.1f%%", sum/float64(len(values))))
		}
		t.Add(row...)
	}
	return t, nil
}

// Bundle shows the table.
func (all FilterTrials) Bundle() mime.Bundle { return table.Shown(all.Table()) }
