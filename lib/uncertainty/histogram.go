package uncertainty

import (
	"fmt"
	"math"
	"sort"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// HistogramBinning calibrates the probability of each class by itself: it becomes the share of that class among the
// images of the bin that it falls into, and an image's are brought to the sum 1. Zadrozny and Elkan, "Obtaining
// calibrated probability estimates from decision trees and naive Bayesian classifiers", ICML 2001. In a bin that holds
// no image it becomes the bin's middle, as in netcal. A value on an edge belongs to the lower bin; netcal puts it into
// the higher one when it fits and into the lower one when it applies. An image all of whose probabilities become 0 gets
// 1/K for each class; netcal makes NaN of it.
type HistogramBinning struct {
	by   Binning
	bins [][]Bin // [class][bin]
}

// FitHistogramBinning fits to labelled probabilities, of images that the model was not trained on, with bins by
// [EqualWidth], of which netcal has 10, or [EqualMass]. A class that no image is of gets the probability 0 in bins that
// hold images.
func FitHistogramBinning(p *Predictions, by Binning) (*HistogramBinning, error) {
	if p == nil {
		return nil, errNoPredictions
	}
	if by.kind == adaptive || by.without {
		return nil, fmt.Errorf(
			"uncertainty: histogram binning by %s: take EqualWidth or EqualMass, whose bins cover all values", by)
	}
	c := &HistogramBinning{by: by}
	values := make([]float64, p.n)
	for class := range p.classes {
		for i := range values {
			values[i] = min(float64(p.row(i)[class]), 1)
		}
		bins, err := by.cut(values, func(i int) float64 {
			if p.labels[i] == class {
				return 1
			}
			return 0
		})
		if err != nil {
			return nil, err
		}
		c.bins = append(c.bins, bins)
	}
	return c, nil
}

// becomes is what a probability in a bin is replaced by.
func (b Bin) becomes() float64 {
	if b.Accuracy.Total == 0 {
		return (b.Low + b.High) / 2
	}
	return b.Accuracy.Share()
}

// Name is "histogram binning".
func (*HistogramBinning) Name() string { return "histogram binning" }

func (c *HistogramBinning) classes() int {
	if c == nil {
		return 0
	}
	return len(c.bins)
}

// Apply looks each probability up.
func (c *HistogramBinning) Apply(probabilities *tensors.Tensor) (*tensors.Tensor, error) {
	return apply(c.Name(), c.classes(), probabilities, func(p []float32, to []float64) {
		for class, v := range p {
			bins := c.bins[class]
			at := sort.Search(len(bins)-1, func(k int) bool { return float64(v) <= bins[k].High })
			to[class] = bins[at].becomes()
		}
	})
}

// Model looks probabilities up on the device. Its outputs have steps, so that it has no derivative that methods of
// attribution could use: explain the model that it is made of.
func (c *HistogramBinning) Model(m *model.Model) (*model.Model, error) {
	var edges []float32
	var values []float64
	for class := range c.classes() {
		bins := c.bins[class]
		for k, bin := range bins {
			values = append(values, bin.becomes())
			if k+1 < len(bins) {
				edges = append(edges, below(bin.High))
			}
		}
	}
	weights := map[string]*tensors.Tensor{}
	number := 0
	if k := c.classes(); k > 0 {
		number = len(c.bins[0])
		weights["values"] = float32s(values, 1, k, number)
		if number > 1 {
			weights["edges"] = tensors.FromFlatDataAndDimensions(edges, 1, k, number-1)
		}
	}
	return extended(c.Name(), c.classes(), m, weights, func(weight func(string) *graph.Node, log *graph.Node) *graph.Node {
		p := graph.ExpandAxes(graph.Exp(log), -1)
		at := graph.ConvertDType(graph.ZerosLike(log), dtypes.Int32)
		if number > 1 {
			wide := log.Shape().Clone()
			wide.Dimensions = append(wide.Dimensions, number-1)
			passed := graph.GreaterThan(graph.BroadcastToShape(p, wide), graph.BroadcastToShape(weight("edges"), wide))
			at = graph.ReduceSum(graph.ConvertDType(passed, dtypes.Int32), -1)
		}
		return logOfShares(graph.ReduceSum(graph.Mul(graph.OneHot(at, number, log.DType()), weight("values")), -1))
	})
}

// below is the largest number of single precision that is not above v: of such numbers the same ones are above both.
func below(v float64) float32 {
	f := float32(v)
	if float64(f) > v {
		f = math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return f
}

// Table has a row for each bin of each class.
func (c *HistogramBinning) Table() table.Table {
	t := table.Table{Title: c.String(), Header: []string{"class", "from", "to", "images", "calibrated"}}
	if c == nil {
		return t
	}
	for class, bins := range c.bins {
		for _, bin := range bins {
			t.Add(class, bin.Low, bin.High, bin.Accuracy.Total, bin.becomes())
		}
	}
	return t
}

func (c *HistogramBinning) String() string {
	if err := fitted(c.Name(), c.classes(), c.classes()); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("histogram binning of %s, by %s", plural.Of(len(c.bins), "class"), c.by)
}

// Bundle shows the table.
func (c *HistogramBinning) Bundle() mime.Bundle { return c.Table().Bundle() }
