package missing

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Measure is one number of a [Curve] at a step, with its unit in its name.
type Measure struct {
	Name string
	Of   func(c *Curve, step int) (float64, error)
	// Most is where a plot's axis ends, which then begins at 0; 0 lets it fit the values.
	Most float64
}

// The measures of a [Curve].
var (
	AgreementPercent = Measure{"same prediction, %", func(c *Curve, step int) (float64, error) {
		share, _, err := c.Agreement(step)
		return 100 * share, err
	}, 100}
	EntropyNats = Measure{Name: "entropy of the predicted classes, nats", Of: (*Curve).Entropy}
)

// Seeds are the curves of several kinds of networks, each trained with several seeds, in the same order for all kinds:
// a result about a way to train, or to take segments away, and not about one network. All curves have the same steps.
// The zero Seeds is empty. It shows itself as a plot of the mean agreement of each kind.
type Seeds struct {
	kinds []string
	of    map[string][]*Curve
}

// NetworkGroup is networks of one kind, one for each seed, and the ways in which segments of their images are taken
// away.
type NetworkGroup struct {
	Name string
	Nets []*model.Model
	Hows []Approximation
}

// Across runs the ablation of images on the networks of each kind, by each of the kind's approximations in the place of
// its own How, which must be nil; the curves are of the kinds named such as "CNN, black". Segments go in the order of
// order, with the seed i for the i-th network of a kind.
//
// Interrupted, it returns the approximations that are done for all networks of a kind beside the error; nil if none is.
func (a Ablation) Across(images *tensors.Tensor, segments *Segments, order Order, kinds ...NetworkGroup) (*Seeds,
	error) {
	if a.How != nil {
		return nil, fmt.Errorf("missing: the ablation is by %s already: name it in a Kind's Hows", a.How.Name())
	}
	if order == nil || len(kinds) == 0 {
		return nil, fmt.Errorf("missing: an ablation across networks takes an order, such as ByChance, and kinds of networks")
	}
	for _, kind := range kinds {
		if len(kind.Nets) == 0 || len(kind.Hows) == 0 {
			return nil, fmt.Errorf(
				"missing: of the kind %q there are %d networks and %d ways to take segments away: give one at least of both",
				kind.Name, len(kind.Nets), len(kind.Hows))
		}
	}
	s := &Seeds{}
	for _, kind := range kinds {
		wholes := make([][]int, len(kind.Nets)) // what each network predicts for the whole images
		for i, how := range kind.Hows {
			if how == nil {
				return nil, fmt.Errorf("missing: approximation %d of %q is nil", i+1, kind.Name)
			}
			name := kind.Name + ", " + how.Name()
			if s.of[name] != nil {
				return nil, fmt.Errorf("missing: there are two kinds %q", name)
			}
			curves, err := a.each(kind.Nets, wholes, images, segments, order, how)
			if err != nil {
				if err = interrupt.After(err, "missing: ablation across networks", len(s.kinds), waysOf(kinds),
					"kinds"); !interrupt.Is(err) || len(s.kinds) == 0 {
					return nil, err
				}
				return s, err
			}
			for _, c := range curves {
				if err := s.Add(name, c); err != nil {
					return nil, err
				}
			}
		}
	}
	return s, nil
}

// waysOf is how many curves of a network all kinds have.
func waysOf(kinds []NetworkGroup) (ways int) {
	for _, kind := range kinds {
		ways += len(kind.Hows)
	}
	return ways
}

// each are the curves of several networks by one approximation. It fills in what is missing of wholes, the classes that
// each network predicts for the whole images.
func (a Ablation) each(nets []*model.Model, wholes [][]int, images *tensors.Tensor, segments *Segments, order Order,
	how Approximation) ([]*Curve, error) {
	a.How = how
	curves := make([]*Curve, len(nets))
	for seed, m := range nets {
		orders, err := order(m, images, segments, how, uint64(seed))
		if err != nil {
			return nil, err
		}
		if wholes[seed] == nil {
			if wholes[seed], err = m.TargetClasses(images, nil); err != nil {
				return nil, err
			}
		}
		if curves[seed], err = a.run(m, images, wholes[seed], segments, orders); err != nil {
			return nil, err
		}
	}
	return curves, nil
}

// Add adds the curve of one more network of a kind.
func (s *Seeds) Add(kind string, c *Curve) error {
	if s == nil || c == nil {
		return fmt.Errorf("missing: a curve, or what is to keep it, is missing: it is nil")
	}
	if err := s.alike(c, kind); err != nil {
		return err
	}
	if s.of == nil {
		s.of = map[string][]*Curve{}
	}
	if s.of[kind] == nil {
		s.kinds = append(s.kinds, kind)
	}
	s.of[kind] = append(s.of[kind], c)
	return nil
}

// alike returns an error unless a curve has the steps of those that are there.
func (s *Seeds) alike(c *Curve, kind string) error {
	if s == nil || len(s.kinds) == 0 {
		return nil
	}
	if first := s.of[s.kinds[0]][0]; !slices.Equal(first.Counts, c.Counts) || first.Keep != c.Keep {
		return fmt.Errorf("missing: the curve of %q has other steps than that of %q: %v %s, and not %v %s", kind, s.kinds[0],
			c.Counts, c.state(), first.Counts, first.state())
	}
	return nil
}

// Curves are those of the networks of a kind, in the order of the seeds.
func (s *Seeds) Curves(kind string) ([]*Curve, error) {
	if s == nil || s.of[kind] == nil {
		var kinds []string
		if s != nil {
			kinds = s.kinds
		}
		return nil, fmt.Errorf("missing: there are no networks %q%s: there are %q", kind, nearest.DidYouMean(kind, kinds),
			kinds)
	}
	return slices.Clone(s.of[kind]), nil
}

// Values are a measure at a step for each network of a kind, in the order of the seeds.
func (s *Seeds) Values(kind string, m Measure, step int) ([]float64, error) {
	if m.Of == nil {
		return nil, fmt.Errorf("missing: the measure is empty: take AgreementPercent or EntropyNats, or fill in Of")
	}
	curves, err := s.Curves(kind)
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(curves))
	for i, c := range curves {
		if values[i], err = m.Of(c, step); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// Claims are the means of a measure at a step over the networks of one kind, each against that of another kind, seed by
// seed: pairs are kinds and their controls. Each is named such as "kind and control: what".
func (s *Seeds) Claims(what string, m Measure, step int, pairs ...[2]string) (claim.Claims, error) {
	var all claim.Claims
	for _, pair := range pairs {
		c, err := s.claim(pair[0]+" and "+pair[1]+": "+what, pair[0], m, step, s, pair[1], pair[1])
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Against are the means of a measure at a step over the networks of each kind, against those of the same kind in
// control, such as with segments taken in another order, seed by seed. Each is named such as "kind: what", and its
// control is called by.
func (s *Seeds) Against(control *Seeds, what, by string, m Measure, step int) (claim.Claims, error) {
	if s == nil || len(s.kinds) == 0 {
		return nil, fmt.Errorf("missing: there are no curves to claim anything of")
	}
	if err := control.alike(s.of[s.kinds[0]][0], s.kinds[0]); err != nil {
		return nil, err
	}
	var all claim.Claims
	for _, kind := range s.kinds {
		c, err := s.claim(kind+": "+what, kind, m, step, control, kind, by)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// claim is the mean over the networks of a kind against that of the kind other in control, which is called by.
func (s *Seeds) claim(name, kind string, m Measure, step int, control *Seeds, other, by string) (claim.Claim, error) {
	values, err := s.Values(kind, m, step)
	if err != nil {
		return claim.Claim{}, err
	}
	others, err := control.Values(other, m, step)
	if err != nil {
		return claim.Claim{}, err
	}
	c, err := claim.Mean(name, "networks", len(values), values)
	if err != nil {
		return c, err
	}
	return c.Against(by, others)
}

// Plot shows the mean of a measure over the networks of each kind, with Student's 95% interval where there are several.
func (s *Seeds) Plot(m Measure) (display.Lines, error) {
	plot := display.Lines{Y: m.Name, YMax: m.Most}
	if s == nil {
		return plot, nil
	}
	for _, kind := range s.kinds {
		first := s.of[kind][0]
		plot.X = first.axis()
		line := display.Series{Name: kind}
		for step := range first.Counts {
			mean, err := s.mean(kind, m, step)
			if err != nil {
				return plot, err
			}
			line.X, line.Y = append(line.X, first.Percent(step)), append(line.Y, mean.Value)
			if len(s.of[kind]) > 1 {
				line.Low, line.High = append(line.Low, mean.Low), append(line.High, mean.High)
			}
		}
		plot.Series = append(plot.Series, line)
	}
	return plot, nil
}

// mean is that of a measure over the networks of a kind; of one network there is no interval.
func (s *Seeds) mean(kind string, m Measure, step int) (table.Estimate, error) {
	values, err := s.Values(kind, m, step)
	if err != nil {
		return table.Estimate{}, err
	}
	if len(values) < 2 {
		v := stat.Mean(values, nil)
		return table.Estimate{Value: v, Low: v, High: v}, nil
	}
	mean, interval, err := stats.MeanInterval(values, 0.05)
	return table.Estimate{Value: mean, Low: interval.Low, High: interval.High}, err
}

// Table has a row for each kind and step, in the order in which the kinds were added.
func (s *Seeds) Table() (table.Table, error) {
	t := table.Table{Header: []string{"network", "seeds", "segments", "segments missing, %", AgreementPercent.Name,
		EntropyNats.Name}}
	if s == nil {
		return t, nil
	}
	for _, kind := range s.kinds {
		first := s.of[kind][0]
		t.Header[3] = first.axis()
		for step, count := range first.Counts {
			row := []any{kind, len(s.of[kind]), count, first.Percent(step)}
			for _, m := range []Measure{AgreementPercent, EntropyNats} {
				mean, err := s.mean(kind, m, step)
				if err != nil {
					return t, err
				}
				var cell any = mean
				if len(s.of[kind]) < 2 {
					cell = mean.Value
				}
				row = append(row, cell)
			}
			t.Add(row...)
		}
	}
	return t, nil
}

// Bundle shows the plot of the agreement.
func (s *Seeds) Bundle() mime.Bundle { return display.Shown(s.Plot(AgreementPercent)) }
