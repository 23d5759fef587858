package table

import (
	"fmt"
	"math"
)

// Rate is a cell with a share in 0..1 and its interval, NaN where that is not known, written in percent. A file gets
// three columns, the second and third named "low" and "high".
type Rate struct {
	Value float64 `display:""`
	Low   float64 `display:"low"`
	High  float64 `display:"high"`
}

func (r Rate) String() string {
	if math.IsNaN(r.Low) || math.IsNaN(r.High) {
		return fmt.Sprintf("%.1f%%", 100*r.Value)
	}
	return fmt.Sprintf("%.1f%% (%.1f to %.1f)", 100*r.Value, 100*r.Low, 100*r.High)
}

// Estimate is [Rate] for what is no share: it is written as it is, and a Value of NaN, of nothing, is left empty.
type Estimate Rate

func (e Estimate) String() string {
	switch {
	case math.IsNaN(e.Value):
		return ""
	case math.IsNaN(e.Low) || math.IsNaN(e.High):
		return fmt.Sprintf("%.3g", e.Value)
	}
	return fmt.Sprintf("%.3g (%.3g to %.3g)", e.Value, e.Low, e.High)
}
