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

// Share is Correct of Total, in 0..1; NaN of no examples.
func (a Accuracy) Share() float64 { return float64(a.Correct) / float64(a.Total) }

// Interval is the exact 95% interval of the share: see [ClopperPearson]. Of no examples it is 0 to 1: nothing is known.
func (a Accuracy) Interval() Interval {
	interval, err := ClopperPearson(a.Correct, a.Total, 0.05)
	if err != nil {
		return Interval{0, 1}
	}
	return interval
}

// Add is the accuracy on both examples together.
func (a Accuracy) Add(b Accuracy) Accuracy { return Accuracy{a.Correct + b.Correct, a.Total + b.Total} }

// String is such as "91.3% (90.7 to 91.9%), 9130 of 10000".
func (a Accuracy) String() string {
	if a.Total == 0 {
		return "no examples"
	}
	interval := a.Interval()
	return fmt.Sprintf("%.1f%% (%.1f to %.1f%%), %d of %d", 100*a.Share(), 100*interval.Low, 100*interval.High, a.Correct, a.Total)
}

// Table is one row.
func (a Accuracy) Table() table.Table {
	t := table.Table{Header: []string{"accuracy, 95% interval", "correct", "of"}}
	t.Add(table.Rate{Value: a.Share(), Low: a.Interval().Low, High: a.Interval().High}, a.Correct, a.Total)
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
