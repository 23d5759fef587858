package table

import "fmt"

// Rate is a cell with a share in 0..1 and its interval, written in percent. A file gets three columns, the second and
// third named "low" and "high".
type Rate struct {
	Value float64 `display:""`
	Low   float64 `display:"low"`
	High  float64 `display:"high"`
}

func (r Rate) String() string {
	return fmt.Sprintf("%.1f%% (%.1f to %.1f)", 100*r.Value, 100*r.Low, 100*r.High)
}

// Estimate is [Rate] for what is no share: it is written as it is.
type Estimate Rate

func (e Estimate) String() string { return fmt.Sprintf("%.3g (%.3g to %.3g)", e.Value, e.Low, e.High) }
