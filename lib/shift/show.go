package shift

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

func (c Condition) String() string {
	return fmt.Sprintf("%s: %s", c.Name, plural.Of(c.Data.Len(), "image"))
}

// Table has a row for each corruption and severity: how many images are classified right, the accuracy with its exact
// 95% interval, and the mean probability of the labels. Severity 0 is no corruption.
func (s *Sweep) Table() table.Table {
	t := table.Table{Title: s.Model, Header: []string{"corruption", "severity", "images", "right", "accuracy",
		"probability of the label"}}
	for c, name := range s.Corruptions {
		for severity, a := range s.Accuracy[c] {
			t.Add(name, severity, a.Total, a.Correct, a.Rate(), table.Percent(s.Confidence[c][severity]))
		}
	}
	return t
}

// Table has a row for each corruption: the mean error over the severities, with its interval where it is known, and
// one for no corruption.
func (e ErrorRates) Table() table.Table {
	t := table.Table{Title: e.Name, Header: []string{"corruption", "error"}}
	unknown := math.NaN()
	t.Add("none", table.Rate{Value: e.Clean, Low: unknown, High: unknown})
	for _, name := range slices.Sorted(maps.Keys(e.Corrupted)) {
		rate := table.Rate{Value: e.Corrupted[name], Low: unknown, High: unknown}
		if low, ok := e.Low[name]; ok {
			rate.Low, rate.High = low, e.High[name]
		}
		t.Add(name, rate)
	}
	return t
}

// Bundle shows the table.
func (e ErrorRates) Bundle() mime.Bundle { return e.Table().Bundle() }

// Table has a row for each corruption, and one for the mean.
func (e *CorruptionError) Table() table.Table {
	t := table.Table{Title: fmt.Sprintf("%s by %s", e.Model, e.Baseline),
		Header: []string{"corruption", "CE, %", "relative CE, %", "from, %", "to, %"}}
	for c, name := range e.Corruptions {
		t.Add(name, 100*e.CE[c], 100*e.Relative[c], nil, nil)
	}
	var low, high any
	if e.Interval != (stats.Interval{}) {
		low, high = 100*e.Interval.Low, 100*e.Interval.High
	}
	t.Add("mean", 100*e.Mean, 100*e.MeanRelative, low, high)
	return t
}

// Table lists the kept images: their numbers in the set, their files where these are known, and their labels.
func (r *Filtration) Table() table.Table {
	columns := table.PerImage{Index: r.Kept}
	if r.files != nil {
		columns.Files = make([]string, len(r.Kept))
		for k, i := range r.Kept {
			columns.Files[k] = r.files[i]
		}
	}
	if r.labels != nil {
		columns.Columns = append(columns.Columns, table.Column{Name: "label", At: func(k int) any {
			if label := r.labels[r.Kept[k]]; r.classes == nil {
				return label
			} else {
				return r.classes[label]
			}
		}})
	}
	t := columns.Table(len(r.Kept))
	t.Title = fmt.Sprintf("kept: %d of %d", len(r.Kept), r.Total)
	return t
}
