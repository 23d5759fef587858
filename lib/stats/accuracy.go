package stats

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Accuracy is how many of a number of examples are classified rightly. It is never told without its interval.
type Accuracy struct {
	Correct, Total int
}

// AccuracyOf counts the predictions that are the labels, one for each. Examples with the label -1, which is none, do
// not count. It is an error if there are not as many labels as predictions, or no example has a label.
func AccuracyOf(predicted, labels []int) (Accuracy, error) {
	if len(predicted) != len(labels) {
		return Accuracy{}, fmt.Errorf("stats: %d predictions for %d labels: give one for each", len(predicted), len(labels))
	}
	var a Accuracy
	for i, label := range labels {
		if label < 0 {
			continue
		}
		a.Total++
		if predicted[i] == label {
			a.Correct++
		}
	}
	if a.Total == 0 {
		return a, fmt.Errorf("stats: no accuracy: none of %d examples has a label", len(labels))
	}
	return a, nil
}

// Share is Correct of Total, in 0..1; NaN of no examples.
func (a Accuracy) Share() float64 { return float64(a.Correct) / float64(a.Total) }

// Interval is the exact 95% interval of the share: see [ClopperPearson]. Of no examples it is 0 to 1: nothing is known.
func (a Accuracy) Interval() Interval {
	interval, err := a.IntervalAt(0.05)
	if err != nil {
		return Interval{0, 1}
	}
	return interval
}

// IntervalAt is the exact interval at confidence level 1-alpha. Recht et al. take an alpha of 0.05, Taori et al. one
// of 0.005. It has the errors of [ClopperPearson].
func (a Accuracy) IntervalAt(alpha float64) (Interval, error) {
	return ClopperPearson(a.Correct, a.Total, alpha)
}

// Rate is the share with its 95% interval as a table's cell; nil of no examples.
func (a Accuracy) Rate() any {
	if a.Total == 0 {
		return nil
	}
	interval := a.Interval()
	return table.Rate{Value: a.Share(), Low: interval.Low, High: interval.High}
}

// Cell is what a file holds of the accuracy.
func (a Accuracy) Cell() any {
	if a.Total == 0 {
		return nil
	}
	interval := a.Interval()
	return accuracyCell{a.Share(), interval.Low, interval.High, a.Correct, a.Total}
}

type accuracyCell struct {
	Share   float64 `display:""`
	Low     float64 `display:"low"`
	High    float64 `display:"high"`
	Correct int     `display:"correct"`
	Total   int     `display:"of"`
}

// Add is the accuracy on both examples together.
func (a Accuracy) Add(b Accuracy) Accuracy { return Accuracy{a.Correct + b.Correct, a.Total + b.Total} }

// String is such as "91.3% (90.7 to 91.9%), 9130 of 10000".
func (a Accuracy) String() string {
	if a.Total == 0 {
		return "no examples"
	}
	interval := a.Interval()
	return fmt.Sprintf("%.1f%% (%.1f to %.1f%%), %d of %d", 100*a.Share(), 100*interval.Low, 100*interval.High,
		a.Correct, a.Total)
}

// Table is one row.
func (a Accuracy) Table() table.Table {
	t := table.Table{Header: []string{"accuracy", "correct", "of"}}
	t.Add(a.Rate(), a.Correct, a.Total)
	return t
}

// Bundle shows the share with its interval.
func (a Accuracy) Bundle() mime.Bundle { return mime.TextOf("accuracy " + a.String()) }

// MarshalJSON writes the share and the interval besides the counts.
func (a Accuracy) MarshalJSON() ([]byte, error) {
	interval := a.Interval()
	fields := map[string]any{"correct": a.Correct, "total": a.Total, "low": interval.Low, "high": interval.High}
	if share := a.Share(); !math.IsNaN(share) {
		fields["accuracy"] = share
	}
	return json.Marshal(fields)
}
