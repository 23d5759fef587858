package shift

import (
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
)

// Line is a fit of models' accuracies under a condition against those under another, with the table of all models: how
// far a model is above it is its effective robustness to the shift. Taori et al., NeurIPS 2020, section 3.
type Line struct {
	Name string // of the shift, such as "ImageNetV2"
	X, Y string // the conditions before and after it
	Fit  stats.AccuracyFit

	of *Results
}

// Line fits a line of logits through the models that keep chooses, as [Results.Fit] does. name is what claims and
// tables call it.
func (r *Results) Line(name, x, y string, keep func(model string) bool) (*Line, error) {
	return r.LineOn(stats.Logit, name, x, y, keep)
}

// LineOn is [Results.Line] on axes of another scale, such as [stats.Linear]. Claims and tables name the scale where it
// is not that of logits.
func (r *Results) LineOn(scale stats.AxisScale, name, x, y string, keep func(model string) bool) (*Line, error) {
	fit, err := r.Fit(scale, x, y, keep)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Line{name, x, y, fit, r}, nil
}

// LineParted is [Results.Line] in two pieces that part at the accuracy of a model under x, such as that of the model
// that a test set was collected against: see [Results.FitPiecewise].
func (r *Results) LineParted(name, x, y, model string, keep func(model string) bool) (*Line, error) {
	at, tried := r.Cell(model, x)
	if !tried {
		return nil, fmt.Errorf("shift: %s: the line cannot part at %q, which has not been tried under %q",
			name, model, x)
	}
	fit, err := r.FitPiecewise(stats.Logit, x, y, at.Accuracy.Share(), keep)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Line{name, x, y, fit, r}, nil
}

// called is the line's name in claims and tables: with its scale, unless that is of logits.
func (l *Line) called() string {
	if scale := l.Fit.Axes(); scale != stats.Logit {
		return l.Name + ", " + scale.String()
	}
	return l.Name
}

// Slope claims the line's slope on its scale, with an interval of 1,000 bootstrap samples of its models. A fit in
// pieces has no slope, which is an error.
func (l *Line) Slope() (claim.Claim, error) {
	fit, ok := l.Fit.(*stats.FitLine)
	if !ok {
		return claim.Claim{}, fmt.Errorf("shift: %s: a fit in pieces has no single slope", l.Name)
	}
	slope, _, err := fit.Coefficients(1000, 0.05, 1)
	return claim.Claim{Name: l.called() + ": slope", Value: fit.Slope, Low: slope.Low, High: slope.High,
		Unit: "models", N: len(fit.Models), Seeds: 1}, err
}

// OfTypes claims the mean effective robustness of the models of each type, in points, with the interval over networks
// of [Results.EffectiveByType]. The control is the mean of the models of another type, such as that which the line goes
// through; with "" it is the line itself, 0. It is an error where there are no models of a type.
func (l *Line) OfTypes(control string, types ...string) (claim.Claims, error) {
	means, err := l.of.EffectiveByType(l.Fit, l.X, l.Y, 0.05)
	if err != nil {
		return nil, err
	}
	of := func(kind string) (claim.Claim, error) {
		i := slices.IndexFunc(means, func(t TypeRobustness) bool { return t.Type == kind })
		if i < 0 {
			return claim.Claim{}, fmt.Errorf("shift: %s: no model of the type %q has been tried under %s and %s",
				l.Name, kind, l.X, l.Y)
		}
		t := means[i]
		return claim.Claim{Name: l.Name + ": " + kind + ", points", Value: t.Mean, Low: t.Interval.Low, High: t.Interval.High,
			Unit: "networks", N: t.Weights, Seeds: 1}, nil
	}
	var beside claim.Claim
	if control != "" {
		if beside, err = of(control); err != nil {
			return nil, err
		}
	}
	var all claim.Claims
	for _, kind := range types {
		c, err := of(kind)
		if err == nil && control != "" {
			c, err = c.AgainstClaim(control+" alone", beside)
		} else if err == nil {
			c, err = c.AgainstValue("on the line", 0)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// OfModel claims the effective robustness of one model, in points, under that name. The interval is over the images
// under the shift (Clopper and Pearson's); the accuracy before it and the line are taken as known. It is an error where
// the model has not been tried under both conditions.
func (l *Line) OfModel(name, model string) (claim.Claim, error) {
	before, tried := l.of.Cell(model, l.X)
	if !tried {
		return claim.Claim{}, fmt.Errorf("shift: %s: %q has not been tried under %q", l.Name, model, l.X)
	}
	return l.OfModelFrom(name, model, before.Accuracy.Share())
}

// OfModelFrom is [Line.OfModel] of a model whose accuracy before the shift, in 0..1, is known from elsewhere.
func (l *Line) OfModelFrom(name, model string, x float64) (claim.Claim, error) {
	after, tried := l.of.Cell(model, l.Y)
	if !tried {
		return claim.Claim{}, fmt.Errorf("shift: %s: %q has not been tried under %q", l.Name, model, l.Y)
	}
	if !(x >= 0 && x <= 1) {
		return claim.Claim{}, fmt.Errorf("shift: %s: an accuracy of %v: it lies between 0 and 1", l.Name, x)
	}
	above := func(y float64) float64 {
		return stats.EffectiveRobustness(l.Fit, stats.AccuracyPair{Model: model, X: x, Y: y})
	}
	i := after.Accuracy.Interval()
	c := claim.Claim{Name: name, Value: above(after.Accuracy.Share()), Low: above(i.Low), High: above(i.High),
		Unit: "images", N: after.Accuracy.Total, Seeds: 1}
	return c.AgainstValue("on the line", 0)
}

// Both are the effective robustness of models to this shift and to another, in points and in the same order: of all
// models of the types that have been tried under both. It is an error where there are none.
func (l *Line) Both(other *Line, types ...string) (here, there []float64, err error) {
	mine, err := l.of.Effective(l.Fit, l.X, l.Y)
	if err != nil {
		return nil, nil, err
	}
	others, err := other.of.Effective(other.Fit, other.X, other.Y)
	if err != nil {
		return nil, nil, err
	}
	points := map[string]float64{}
	for _, m := range others {
		points[m.Model] = m.Effective
	}
	for _, m := range mine {
		if y, tried := points[m.Model]; tried && slices.Contains(types, m.Type) {
			here, there = append(here, m.Effective), append(there, y)
		}
	}
	if len(here) == 0 {
		return nil, nil, fmt.Errorf("shift: no model of %q has been tried under both %s and %s",
			types, l.Name, other.Name)
	}
	return here, there, nil
}

// Bundle shows the tables of [Lines].
func (l *Line) Bundle() mime.Bundle { return Lines{l}.Bundle() }

// Scatter plots the models around the line that have that accuracy before the shift, in 0..1, or more: see
// [Results.Scatter]. With 0 it is all.
func (l *Line) Scatter(title string, least float64, label ...string) (display.AccuracyScatter, error) {
	s, err := l.of.Scatter(l.Fit, l.X, l.Y, l.of.AtLeast(least, l.X), label...)
	s.Title, s.Y = title, l.Name
	return s, err
}
