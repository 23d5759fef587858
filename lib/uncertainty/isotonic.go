package uncertainty

import (
	"fmt"
	"slices"
	"sort"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// IsotonicRegression calibrates the probability of each class by itself, by the growing function that is nearest to "is
// it this class?" in squares, and brings an image's to the sum 1. Zadrozny and Elkan, "Transforming classifier scores
// into accurate multiclass probability estimates", KDD 2002. Between the places where the function is known it is
// linear, as in scikit-learn and netcal, whereas the paper's has steps; what lies outside has the value of the nearest
// end. An image all of whose probabilities become 0 gets 1/K for each class, as in scikit-learn's
// CalibratedClassifierCV; netcal makes NaN of it.
type IsotonicRegression struct {
	curves []curve // of the classes
}

// curve is a growing function, linear between places x, both ascending.
type curve struct{ x, y []float64 }

// FitIsotonicRegression fits to labelled probabilities, of images that the model was not trained on. With few images of
// a class, a few hundred, it follows their chance; see Niculescu-Mizil and Caruana, "Predicting Good Probabilities With
// Supervised Learning", ICML 2005. A class that no image is of gets the probability 0.
func FitIsotonicRegression(p *Predictions) (*IsotonicRegression, error) {
	if p == nil {
		return nil, errNoPredictions
	}
	c := &IsotonicRegression{curves: make([]curve, p.classes)}
	parallel.Parts(p.classes, 1, func(_, class, _ int) {
		values := make([]float64, p.n)
		for i := range values {
			values[i] = float64(p.row(i)[class])
		}
		c.curves[class] = isotonic(values, func(i int) bool { return p.labels[i] == class })
	})
	return c, nil
}

// errNoPredictions is of a fit to nothing.
var errNoPredictions = fmt.Errorf("uncertainty: there are no predictions to fit to: they are nil")

// isotonic fits by pooling adjacent violators: values that are equal first, then neighbours of which the higher one has
// the lower share, until none has.
func isotonic(values []float64, is func(i int) bool) curve {
	const same = 1e-15 // values nearer than this are one to scikit-learn
	type pool struct{ sum, count, x float64 }
	var at []pool // of equal values
	for _, i := range ascending(values) {
		if len(at) == 0 || values[i]-at[len(at)-1].x >= same {
			at = append(at, pool{x: values[i]})
		}
		last := &at[len(at)-1]
		last.count++
		if is(int(i)) {
			last.sum++
		}
	}
	type merged struct {
		sum, count float64
		from       int
	}
	var pools []merged
	for k, p := range at {
		now := merged{p.sum, p.count, k}
		for len(pools) > 0 && pools[len(pools)-1].sum*now.count >= now.sum*pools[len(pools)-1].count {
			before := pools[len(pools)-1]
			now = merged{before.sum + now.sum, before.count + now.count, before.from}
			pools = pools[:len(pools)-1]
		}
		pools = append(pools, now)
	}
	var c curve
	for k, p := range pools {
		to := len(at)
		if k+1 < len(pools) {
			to = pools[k+1].from
		}
		// Only a pool's ends are kept: between them the function is constant.
		c.x, c.y = append(c.x, at[p.from].x), append(c.y, p.sum/p.count)
		if to-1 > p.from {
			c.x, c.y = append(c.x, at[to-1].x), append(c.y, p.sum/p.count)
		}
	}
	return c
}

// of is the function's value.
func (c curve) of(v float64) float64 {
	k := sort.SearchFloat64s(c.x, v)
	switch {
	case k == 0:
		return c.y[0]
	case k == len(c.x):
		return c.y[k-1]
	}
	return c.y[k-1] + (c.y[k]-c.y[k-1])*(v-c.x[k-1])/(c.x[k]-c.x[k-1])
}

// Name is "isotonic regression".
func (*IsotonicRegression) Name() string { return "isotonic regression" }

func (c *IsotonicRegression) classes() int {
	if c == nil {
		return 0
	}
	return len(c.curves)
}

// Apply looks each probability up.
func (c *IsotonicRegression) Apply(probabilities *tensors.Tensor) (*tensors.Tensor, error) {
	return apply(c.Name(), c.classes(), probabilities, func(p []float32, to []float64) {
		for class, v := range p {
			to[class] = c.curves[class].of(float64(v))
		}
	})
}

// Model looks probabilities up on the device. Where the functions are constant the model has no derivative.
func (c *IsotonicRegression) Model(m *model.Model) (*model.Model, error) {
	most := 2
	if c != nil {
		for _, of := range c.curves {
			most = max(most, len(of.x))
		}
	}
	// A curve is its first value and what each piece adds: a rise times how much of the piece lies below.
	var from, width, rise, first []float64
	for class := range c.classes() {
		of := c.curves[class]
		first = append(first, of.y[0])
		for k := range most - 1 {
			if k+1 < len(of.x) {
				from, width, rise = append(from, of.x[k]), append(width, of.x[k+1]-of.x[k]), append(rise, of.y[k+1]-of.y[k])
			} else {
				from, width, rise = append(from, 0), append(width, 1), append(rise, 0)
			}
		}
	}
	weights := map[string]*tensors.Tensor{}
	if k := c.classes(); k > 0 {
		weights = map[string]*tensors.Tensor{
			"from": float32s(from, 1, k, most-1), "width": float32s(width, 1, k, most-1), "rise": float32s(rise, 1, k, most-1),
			"first": float32s(first, 1, k),
		}
	}
	return extended(c.Name(), c.classes(), m, weights, func(weight func(string) *graph.Node, log *graph.Node) *graph.Node {
		p := graph.ExpandAxes(graph.Exp(log), -1)
		part := graph.ClipScalar(graph.Div(graph.Sub(p, weight("from")), weight("width")), 0, 1)
		return logOfShares(graph.Add(weight("first"), graph.ReduceSum(graph.Mul(part, weight("rise")), -1)))
	})
}

// Table has a row for each place where a class's function is known.
func (c *IsotonicRegression) Table() table.Table {
	t := table.Table{Title: c.String(), Header: []string{"class", "probability", "calibrated"}}
	if c == nil {
		return t
	}
	for class, of := range c.curves {
		for k := range of.x {
			t.Add(class, of.x[k], of.y[k])
		}
	}
	return t
}

func (c *IsotonicRegression) String() string {
	if err := fitted(c.Name(), c.classes(), c.classes()); err != nil {
		return err.Error()
	}
	places := slices.Collect(func(yield func(int) bool) {
		for _, of := range c.curves {
			if !yield(len(of.x)) {
				return
			}
		}
	})
	return fmt.Sprintf("isotonic regression of %d classes, by functions of %d to %d places", len(c.curves),
		slices.Min(places), slices.Max(places))
}

// Bundle shows the table.
func (c *IsotonicRegression) Bundle() mime.Bundle { return c.Table().Bundle() }
