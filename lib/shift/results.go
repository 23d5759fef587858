package shift

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Cell is how well a model recognises a condition's images.
type Cell struct {
	Model     string         `display:"model"`
	Condition string         `display:"condition"`
	Accuracy  stats.Accuracy `display:"accuracy"`
}

// ModelInfo is what is known of a model besides its name.
type ModelInfo struct {
	Type string `display:"type"` // of its training, by which plots colour it; "" is none
	// what models that are the same network (at another image size) have in common; "" is the model's name
	Weights string `display:"network"`
}

// Results are the accuracies of models under conditions: test sets, and what is done to them. Not every model needs to
// have been tried under every condition.
type Results struct {
	cells              map[[2]string]Cell
	models, conditions []string
	kinds              map[string]ModelInfo
}

// NewResults makes an empty table.
func NewResults() *Results {
	return &Results{cells: map[[2]string]Cell{}, kinds: map[string]ModelInfo{}}
}

// Add adds a cell. It is an error where the model has one under that condition already that says something else, or the
// counts cannot be.
func (r *Results) Add(c Cell) error {
	old, ok := r.cells[[2]string{c.Model, c.Condition}]
	switch was, is := old.Accuracy, c.Accuracy; {
	case c.Model == "" || c.Condition == "":
		return fmt.Errorf("shift: a result of model %q under condition %q: both need a name", c.Model, c.Condition)
	case is.Total < 1 || is.Correct < 0 || is.Correct > is.Total:
		return fmt.Errorf("shift: %s recognises %d of %d images of %s, which cannot be", c.Model, is.Correct, is.Total,
			c.Condition)
	case ok && was != is:
		return fmt.Errorf("shift: %s has two results under %s: %d of %d and %d of %d", c.Model, c.Condition, was.Correct,
			was.Total, is.Correct, is.Total)
	case ok:
		return nil
	}
	if _, known := r.kinds[c.Model]; !known {
		r.kinds[c.Model] = ModelInfo{}
		r.models = append(r.models, c.Model)
	}
	if !slices.Contains(r.conditions, c.Condition) {
		r.conditions = append(r.conditions, c.Condition)
	}
	r.cells[[2]string{c.Model, c.Condition}] = c
	return nil
}

// Join adds another table's cells and kinds.
func (r *Results) Join(other *Results) error {
	if other == nil {
		return fmt.Errorf("shift: there are no results to add: they are nil")
	}
	for _, m := range other.models {
		for _, condition := range other.conditions {
			if c, ok := other.Cell(m, condition); ok {
				if err := r.Add(c); err != nil {
					return err
				}
			}
		}
		if kind := other.kinds[m]; kind != (ModelInfo{}) {
			r.kinds[m] = kind
		}
	}
	return nil
}

// Only are the results of some of the models, in this order. It is an error where there are none of one.
func (r *Results) Only(models ...string) (*Results, error) {
	some := NewResults()
	for _, m := range models {
		kind, known := r.kinds[m]
		if !known {
			return nil, fmt.Errorf("shift: there is no model %q in the results", m)
		}
		for _, condition := range r.conditions {
			if c, tried := r.Cell(m, condition); tried {
				if err := some.Add(c); err != nil {
					return nil, err
				}
			}
		}
		some.kinds[m] = kind
	}
	return some, nil
}

// Models are the models' names in the order in which they came.
func (r *Results) Models() []string { return slices.Clone(r.models) }

// Conditions are the conditions' names in the order in which they came.
func (r *Results) Conditions() []string { return slices.Clone(r.conditions) }

// Cell is a model's result under a condition; false where there is none.
func (r *Results) Cell(model, condition string) (Cell, bool) {
	c, ok := r.cells[[2]string{model, condition}]
	return c, ok
}

// Accuracy is that of a model under a condition; an error where there is none.
func (r *Results) Accuracy(model, condition string) (stats.Accuracy, error) {
	c, tried := r.Cell(model, condition)
	if !tried {
		return stats.Accuracy{}, fmt.Errorf("shift: there is no result of %q under %q", model, condition)
	}
	return c.Accuracy, nil
}

// Compared claims the accuracy of a model under a condition beside that of another one, or under another condition, the
// control. The intervals are over images (Clopper and Pearson's, 95%).
func (r *Results) Compared(name, model, condition, control, other, elsewhere string) (claim.Claim, error) {
	a, err := r.Accuracy(model, condition)
	if err != nil {
		return claim.Claim{}, err
	}
	b, err := r.Accuracy(other, elsewhere)
	if err != nil {
		return claim.Claim{}, err
	}
	c, err := claim.Accuracy(name, a)
	if err != nil {
		return c, err
	}
	return c.AgainstAccuracy(control, b)
}

// Kind is the [ModelInfo] that is known of a model.
func (r *Results) Kind(model string) ModelInfo {
	k := r.kinds[model]
	if k.Weights == "" {
		k.Weights = model
	}
	return k
}

// SetKind says what is known of a model, which has to be in the table.
func (r *Results) SetKind(model string, kind ModelInfo) error {
	if _, ok := r.kinds[model]; !ok {
		return fmt.Errorf("shift: there is no model %q in the results", model)
	}
	r.kinds[model] = kind
	return nil
}

// OfType tells models of that type: an argument of Pairs.
func (r *Results) OfType(kind string) func(model string) bool {
	return func(model string) bool { return r.kinds[model].Type == kind }
}

// AtLeast tells models that have been tried under a condition with that accuracy, in 0..1, or more: an argument of
// Pairs and of Scatter.
func (r *Results) AtLeast(accuracy float64, condition string) func(model string) bool {
	return func(model string) bool {
		c, tried := r.Cell(model, condition)
		return tried && c.Accuracy.Share() >= accuracy
	}
}

// Pairs are the accuracies of models under two conditions, and the models of which one is missing. keep chooses models;
// nil keeps all. It is an error where no model has been tried under a condition.
func (r *Results) Pairs(x, y string, keep func(model string) bool) (pairs []stats.AccuracyPair,
	missing []stats.ExcludedModel, err error) {
	for _, condition := range []string{x, y} {
		if !slices.Contains(r.conditions, condition) {
			return nil, nil, fmt.Errorf("shift: no model has been tried under %q", condition)
		}
	}
	for _, m := range r.models {
		if keep != nil && !keep(m) {
			continue
		}
		at, home := r.Cell(m, x)
		to, away := r.Cell(m, y)
		switch {
		case !home:
			missing = append(missing, stats.ExcludedModel{Model: m, Reason: "not tried under " + x})
		case !away:
			missing = append(missing, stats.ExcludedModel{Model: m, Reason: "not tried under " + y})
		default:
			pairs = append(pairs, stats.AccuracyPair{Model: m, X: at.Accuracy.Share(), Y: to.Accuracy.Share()})
		}
	}
	return pairs, missing, nil
}

// Fit fits the accuracies under y against those under x, of the models that keep chooses: [stats.FitAccuracies]. Where
// a model has an accuracy of 0 under y, and the scale is not linear, the fit has two pieces that part there:
// [stats.FitPiecewise] at [stats.ZeroPivot], as the authors of the testbed do for ImageNet-A. Models that have not been
// tried under both conditions are among those left out.
func (r *Results) Fit(scale stats.AxisScale, x, y string, keep func(model string) bool) (stats.AccuracyFit, error) {
	pairs, missing, err := r.Pairs(x, y, keep)
	if err != nil {
		return nil, err
	}
	if pivot, ok := stats.ZeroPivot(pairs); ok && scale != stats.Linear {
		return r.FitPiecewise(scale, x, y, pivot, keep)
	}
	fit, err := stats.FitAccuracies(scale, pairs)
	if err != nil {
		return nil, err
	}
	fit.Excluded = append(fit.Excluded, missing...)
	return fit, nil
}

// FitPiecewise is Fit in two pieces that part at an accuracy under x, in 0..1: such as that of the model that a test
// set was collected against, where no model has an accuracy of 0.
func (r *Results) FitPiecewise(scale stats.AxisScale, x, y string, pivot float64, keep func(model string) bool) (
	*stats.PiecewiseLine, error) {
	pairs, missing, err := r.Pairs(x, y, keep)
	if err != nil {
		return nil, err
	}
	fit, err := stats.FitPiecewise(scale, pairs, pivot)
	if err != nil {
		return nil, err
	}
	fit.Excluded = append(fit.Excluded, missing...)
	return fit, nil
}

// Robustness is a model's accuracies under two conditions, and by how many percentage points it is above a fit.
type Robustness struct {
	Model     string  `display:"model"`
	Type      string  `display:"type"`
	X         float64 `display:"accuracy before,percent"` // in 0..1
	Y         float64 `display:"accuracy after,percent"`
	Effective float64 `display:"effective robustness, points"` // points
}

// Effective is the effective robustness of all models that have been tried under both conditions, best first:
// [stats.EffectiveRobustness].
func (r *Results) Effective(fit stats.AccuracyFit, x, y string) ([]Robustness, error) {
	if fit == nil {
		return nil, fmt.Errorf("shift: effective robustness is by a fit, and it is nil: see Fit")
	}
	pairs, _, err := r.Pairs(x, y, nil)
	if err != nil {
		return nil, err
	}
	var all []Robustness
	for _, p := range pairs {
		all = append(all, Robustness{p.Model, r.kinds[p.Model].Type, p.X, p.Y, stats.EffectiveRobustness(fit, p)})
	}
	slices.SortStableFunc(all, func(a, b Robustness) int { return cmp.Compare(b.Effective, a.Effective) })
	return all, nil
}

// TypeRobustness is the effective robustness of the models of a type, in percentage points.
type TypeRobustness struct {
	Type    string  `display:"type"`
	Models  int     `display:"models"` // several models may be one network at several image sizes
	Weights int     `display:"networks"`
	Mean    float64 `display:"effective robustness, points"`
	// of the mean, over networks; the mean itself where there are fewer than three
	Interval stats.Interval `display:"interval of the mean"`
	Low      float64        `display:"least"` // the least and the most robust model
	High     float64        `display:"most"`
}

// EffectiveByType averages the effective robustness of the models of each type, the largest mean first. The interval is
// a percentile bootstrap of 2,000 draws at confidence level 1-alpha in which a network is drawn with all its models. It
// tells how well the mean is known, not how far the models are apart: Low and High do.
func (r *Results) EffectiveByType(fit stats.AccuracyFit, x, y string, alpha float64) ([]TypeRobustness, error) {
	all, err := r.Effective(fit, x, y)
	if err != nil {
		return nil, err
	}
	networks := map[string]map[string][]float64{} // by type and weights
	var types []string
	for _, m := range all {
		if networks[m.Type] == nil {
			networks[m.Type] = map[string][]float64{}
			types = append(types, m.Type)
		}
		weights := r.Kind(m.Model).Weights
		networks[m.Type][weights] = append(networks[m.Type][weights], m.Effective)
	}
	slices.Sort(types)
	var out []TypeRobustness
	for _, kind := range types {
		var names []string
		for _, m := range all { // in a fixed order
			if w := r.Kind(m.Model).Weights; m.Type == kind && !slices.Contains(names, w) {
				names = append(names, w)
			}
		}
		mean := func(sample []int) float64 {
			var sum, n float64
			for _, i := range sample {
				for _, v := range networks[kind][names[i]] {
					sum, n = sum+v, n+1
				}
			}
			return sum / n
		}
		whole := make([]int, len(names))
		t := TypeRobustness{Type: kind, Weights: len(names)}
		for i := range whole {
			whole[i] = i
		}
		for _, m := range all {
			if m.Type == kind {
				if t.Models == 0 {
					t.High = m.Effective
				}
				t.Models, t.Low = t.Models+1, m.Effective
			}
		}
		t.Mean = mean(whole)
		t.Interval = stats.Interval{Low: t.Mean, High: t.Mean}
		if len(names) > 2 {
			if t.Interval, err = stats.Bootstrap(len(names), 2000, alpha, 1, mean); err != nil {
				return nil, err
			}
		}
		out = append(out, t)
	}
	slices.SortStableFunc(out, func(a, b TypeRobustness) int { return cmp.Compare(b.Mean, a.Mean) })
	return out, nil
}

// crowded is how many models a plot has no room for the intervals of.
const crowded = 500

// Scatter plots the accuracies under y against those under x, of the models that keep chooses (nil keeps all), with
// their intervals at confidence level 99.5% as Taori et al. draw them. Types of training have one colour each, the
// commonest first; models named by label have their names beside them. The axes are the fit's; without one, nil, they
// are of logits.
func (r *Results) Scatter(fit stats.AccuracyFit, x, y string, keep func(model string) bool,
	label ...string) (display.AccuracyScatter, error) {
	s := display.AccuracyScatter{Title: y + " against " + x, X: x, Y: y, Scale: stats.Logit, Fit: fit}
	if fit != nil {
		s.Scale = fit.Axes()
	}
	pairs, _, err := r.Pairs(x, y, keep)
	if err != nil {
		return s, err
	}
	count := map[string]int{}
	for _, p := range pairs {
		count[r.kinds[p.Model].Type]++
	}
	types := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]),
			cmp.Compare(a, b))
	})
	for _, kind := range types {
		s.Groups = append(s.Groups, cmp.Or(kind, "no type given"))
	}
	if len(types) == 1 && types[0] == "" {
		s.Groups = nil
	}
	for _, p := range pairs {
		point := display.AccuracyPoint{Name: p.Model, X: p.X, Y: p.Y, Group: slices.Index(types, r.kinds[p.Model].Type),
			Label: slices.Contains(label, p.Model)}
		for condition, interval := range map[string]*stats.Interval{x: &point.XInterval, y: &point.YInterval} {
			if len(pairs) > crowded {
				break
			}
			c, _ := r.Cell(p.Model, condition)
			if *interval, err = c.Accuracy.IntervalAt(0.005); err != nil {
				return s, err
			}
		}
		s.Points = append(s.Points, point)
	}
	return s, nil
}

// Table shows the accuracies under all conditions with the intervals of Taori et al., 99.5%: see [Results.TableAt].
func (r *Results) Table() (display.Table, error) { return r.TableAt(0.005) }

// TableAt shows the accuracies under some conditions (all, where none is named) with their intervals of Clopper and
// Pearson at confidence level 1-alpha: a row for each model.
func (r *Results) TableAt(alpha float64, conditions ...string) (display.Table, error) {
	if len(conditions) == 0 {
		conditions = r.conditions
	}
	t := display.Table{
		Title:  fmt.Sprintf("Accuracy, with its %g%% interval", 100*(1-alpha)),
		Header: []string{"model"},
	}
	typed := slices.ContainsFunc(r.models, func(m string) bool { return r.kinds[m].Type != "" })
	if typed {
		t.Header = append(t.Header, "type")
	}
	t.Header = append(t.Header, conditions...)
	for _, m := range r.models {
		row, any := []any{m}, false
		if typed {
			row = append(row, r.kinds[m].Type)
		}
		for _, condition := range conditions {
			c, ok := r.Cell(m, condition)
			if !ok {
				row = append(row, nil)
				continue
			}
			interval, err := c.Accuracy.IntervalAt(alpha)
			if err != nil {
				return t, err
			}
			any = true
			row = append(row, table.Rate{Value: c.Accuracy.Share(), Low: interval.Low, High: interval.High})
		}
		if any {
			t.Rows = append(t.Rows, row)
		}
	}
	return t, nil
}

// Bundle shows the table.
func (r *Results) Bundle() mime.Bundle { return table.Shown(r.Table()) }
