package shift

import (
	"fmt"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Lines are the lines of several shifts.
type Lines []*Line

// Slopes claims the slope of each: [Line.Slope].
func (all Lines) Slopes() (claim.Claims, error) {
	var claims claim.Claims
	for _, l := range all {
		c, err := l.Slope()
		if err != nil {
			return nil, err
		}
		claims = append(claims, c)
	}
	return claims, nil
}

// OfTypes claims the mean effective robustness of models of each type to each shift: [Line.OfTypes].
func (all Lines) OfTypes(control string, types ...string) (claim.Claims, error) {
	var claims claim.Claims
	for _, l := range all {
		c, err := l.OfTypes(control, types...)
		if err != nil {
			return nil, err
		}
		claims = append(claims, c...)
	}
	return claims, nil
}

// Fits is a table of the coefficients on the scale, a row for each line; of one in pieces, a row for each.
func (all Lines) Fits() table.Table {
	t := table.Table{Header: []string{"shift", "models", "slope", "intercept", "R²"}}
	row := func(name string, f *stats.FitLine) {
		coefficient := func(v float64) string { return fmt.Sprintf("%.4f", v) }
		t.Add(name, len(f.Models), coefficient(f.Slope), coefficient(f.Intercept), coefficient(f.R2))
	}
	for _, l := range all {
		switch f := l.Fit.(type) {
		case *stats.FitLine:
			row(l.called(), f)
		case *stats.PiecewiseLine:
			row(fmt.Sprintf("%s, below %.1f%%", l.called(), 100*f.Pivot), f.Below)
			row(fmt.Sprintf("%s, above %.1f%%", l.called(), 100*f.Pivot), f.Above)
		}
	}
	return t
}

// Types is a table of the effective robustness to each shift of the models of each type, in points: the mean with its
// interval over networks ([Results.EffectiveByType]), and the least and the most robust model.
func (all Lines) Types() (table.Table, error) {
	t := table.Table{Header: []string{"shift", "training", "models", "networks", "effective robustness, points",
		"least", "most"}}
	for _, l := range all {
		types, err := l.of.EffectiveByType(l.Fit, l.X, l.Y, 0.05)
		if err != nil {
			return t, err
		}
		for _, of := range types {
			t.Add(l.Name, of.Type, of.Models, of.Weights, fmt.Sprintf("%+.2f (%+.2f to %+.2f)", of.Mean, of.Interval.Low,
				of.Interval.High),
				fmt.Sprintf("%+.1f", of.Low), fmt.Sprintf("%+.1f", of.High))
		}
	}
	return t, nil
}

// Bundle shows both tables.
func (all Lines) Bundle() mime.Bundle {
	types, err := all.Types()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return display.Stack(all.Fits().Bundle(), types.Bundle())
}
