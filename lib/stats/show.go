package stats

import (
	"fmt"

	"github.com/loupeml/loupe/internal/plural"
)

func (i Interval) String() string { return fmt.Sprintf("%.4g to %.4g", i.Low, i.High) }

func (p *PiecewiseLine) String() string {
	return fmt.Sprintf("up to %.1f%%: %s\nabove: %s", 100*p.Pivot, p.Below.formula(), p.Above.formula())
}

// formula is the line as one writes it down.
func (f *FitLine) formula() string {
	return fmt.Sprintf("%s(y) = %.3f·%s(x) %+.3f, R² %.3f, %s", f.Scale, f.Slope, f.Scale, f.Intercept, f.R2,
		plural.Of(len(f.Models), "model"))
}
