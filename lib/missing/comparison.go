package missing

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Comparison is one ablation with several approximations: the same segments of the same images miss, and what differs
// between the curves is what stands in their place. It shows itself as a plot of the curves.
type Comparison struct {
	// Curves are in the order of the approximations.
	Curves []*Curve
}

// Compare runs the ablation with each approximation, one at least, in the place of its own How, which must be nil.
//
// Interrupted, it returns the approximations that are done beside the error; nil if none is.
func (a Ablation) Compare(m *model.Model, images *tensors.Tensor, segments *Segments, orders [][]int,
	hows ...Approximation) (*Comparison, error) {
	if a.How != nil {
		return nil, fmt.Errorf("missing: the ablation is by %s already: give it to Compare with the others", a.How.Name())
	}
	if len(hows) == 0 {
		return nil, fmt.Errorf(
			"missing: there is nothing to compare: give Compare approximations, such as Fill{} and DropTokens{}")
	}
	seen := map[string]bool{}
	for i, how := range hows {
		if how == nil {
			return nil, fmt.Errorf("missing: approximation %d of %d is nil", i+1, len(hows))
		}
		if seen[how.Name()] {
			return nil, fmt.Errorf("missing: two of the approximations are %s", how.Name())
		}
		seen[how.Name()] = true
	}
	whole, err := m.TargetClasses(images, nil)
	if err != nil {
		return nil, err
	}
	c := &Comparison{}
	for _, how := range hows {
		a.How = how
		curve, err := a.run(m, images, whole, segments, orders)
		if err != nil {
			if err = interrupt.After(err, "missing: comparison", len(c.Curves), len(hows),
				"approximations"); len(c.Curves) == 0 {
				return nil, err
			}
			return c, err
		}
		c.Curves = append(c.Curves, curve)
	}
	return c, nil
}

// Curve is that of an approximation, by its name.
func (c *Comparison) Curve(how string) (*Curve, error) {
	var names []string
	for _, curve := range c.Curves {
		if curve.How == how {
			return curve, nil
		}
		names = append(names, curve.How)
	}
	return nil, fmt.Errorf("missing: nothing was taken away by %q%s: it was by %q", how, nearest.DidYouMean(how, names),
		names)
}

// Plot shows by each approximation in how many images the prediction stays what it is for the whole image, with the
// exact 95% interval.
func (c *Comparison) Plot() (display.Lines, error) {
	var plot display.Lines
	for i, curve := range c.Curves {
		one, err := curve.Plot()
		if err != nil {
			return plot, err
		}
		if i == 0 {
			plot = one
			continue
		}
		plot.Series = append(plot.Series, one.Series...)
	}
	return plot, nil
}

// Table is a row for each approximation and step, with the columns of [Curve.Table].
func (c *Comparison) Table() (table.Table, error) {
	var t table.Table
	for i, curve := range c.Curves {
		one, err := curve.Table()
		if err != nil {
			return t, err
		}
		if i == 0 {
			t.Title, t.Header = curve.Model, append([]string{"approximation"}, one.Header...)
		}
		for _, row := range one.Rows {
			t.Add(append([]any{curve.How}, row...)...)
		}
	}
	return t, nil
}

// Becomes is a table of the classes that most predictions went over to at Counts[step], the most frequent of them by
// each approximation: what stands in the place of the missing is taken for that. Jain et al., ICLR 2022, section 3.
func (c *Comparison) Becomes(step, most int) (table.Table, error) {
	if most < 1 {
		return table.Table{}, fmt.Errorf("missing: the %d most frequent classes are none: ask for one or more", most)
	}
	t := table.Table{Header: []string{"approximation", "class that predictions go over to", "images", "share of all"}}
	for i, curve := range c.Curves {
		flips, err := curve.Flips(step)
		if err != nil {
			return t, err
		}
		if i == 0 {
			t.Title = fmt.Sprintf("%s, %.0f%% of the segments %s", curve.Model, curve.Percent(step), curve.state())
		}
		for _, flip := range flips[:min(most, len(flips))] {
			t.Add(curve.How, flip.Name, flip.Images, table.Bar(flip.Share))
		}
	}
	return t, nil
}

// Meanings is a table of how alike in meaning the classes that predictions went over to at Counts[step] are to those of
// the whole images, by each approximation: see [Curve.Similarity].
func (c *Comparison) Meanings(step int, similarity func(a, b int) (float64, error)) (table.Table, error) {
	t := table.Table{Header: []string{"approximation", "images given another class",
		"similarity of its meaning to the first"}}
	for _, curve := range c.Curves {
		_, flipped, err := curve.Similarity(step, similarity)
		if err != nil {
			return t, err
		}
		t.Add(curve.How, flipped.Images, table.Estimate{Value: flipped.Mean, Low: flipped.Interval.Low,
			High: flipped.Interval.High})
	}
	return t, nil
}

// Bundle shows the plot.
func (c *Comparison) Bundle() mime.Bundle { return display.Shown(c.Plot()) }
