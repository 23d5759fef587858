package uncertainty

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Comparison compares what several models say of the same images. Its intervals, at 95%, are over images: bootstraps
// whose draws are the same images for each model. The zero Comparison is empty.
type Comparison struct {
	// Measures are those that it shows; nil for [AccuracyShare], [RMSCalibration] of 100 images a bin, [AURRA] and
	// [SoftF1], those of "Natural Adversarial Examples".
	Measures []Measure
	// Draws is how often images are drawn; 0 means 1,000.
	Draws int

	names []string
	of    []*Predictions
}

// Add gives it what one more model says of the images. They are to be in the same order, which their number and labels
// can tell only in part.
func (b *Comparison) Add(model string, p *Predictions) {
	b.names, b.of = append(b.names, model), append(b.of, p)
}

// besideSeed makes the draws, so that they are the same images for each model.
const besideSeed = 1

func (b *Comparison) measures() []Measure {
	if b.Measures != nil {
		return b.Measures
	}
	return []Measure{AccuracyShare, RMSCalibration(100), AURRA, SoftF1}
}

// model finds what a model says.
func (b *Comparison) model(name string) (*Predictions, error) {
	i := slices.Index(b.names, name)
	if i < 0 {
		return nil, fmt.Errorf("uncertainty: there is no model %q to compare: there are %q", name, b.names)
	}
	if b.of[i] == nil || b.of[0] == nil {
		return nil, fmt.Errorf("uncertainty: there are no predictions of %s or of %s: they are nil", b.names[0], name)
	}
	if !slices.Equal(b.of[i].labels, b.of[0].labels) {
		return nil, fmt.Errorf("uncertainty: %s and %s are asked about different images: their labels differ",
			b.names[0], name)
	}
	return b.of[i], nil
}

// bootstrap is the interval of a statistic of drawn images.
func (b *Comparison) bootstrap(n int, statistic func(images []int) (float64, error)) (stats.Interval, error) {
	var failed error
	interval, err := stats.Bootstrap(n, cmp.Or(b.Draws, 1000), 0.05, besideSeed, func(sample []int) float64 {
		v, err := statistic(sample)
		if err != nil {
			failed = err
			return math.NaN()
		}
		return v
	})
	if failed != nil {
		return interval, failed
	}
	return interval, err
}

// claimed is a measure of a model, with its interval.
func (b *Comparison) claimed(name string, measure Measure, p *Predictions) (claim.Claim, error) {
	c := claim.Claim{Name: name, Unit: "images", N: p.n, Seeds: 1}
	var err error
	if c.Value, err = measure.Of(p); err != nil {
		return c, err
	}
	i, err := b.bootstrap(p.n, func(images []int) (float64, error) { return measure.Of(p.drawn(images)) })
	c.Low, c.High = i.Low, i.High
	return c, err
}

// Compared claims measures of models beside those of another one, the control, over the same images. Claims are named
// such as "ResNet: accuracy".
func (b *Comparison) Compared(control string, measures []Measure, models ...string) (claim.Claims, error) {
	beside, err := b.model(control)
	if err != nil {
		return nil, err
	}
	var all claim.Claims
	for _, name := range models {
		p, err := b.model(name)
		if err != nil {
			return nil, err
		}
		for _, measure := range measures {
			c, err := b.claimed(name+": "+measure.Name, measure, p)
			if err != nil {
				return nil, err
			}
			other, err := b.claimed(control, measure, beside)
			if err != nil {
				return nil, err
			}
			if c, err = c.AgainstClaim(control, other); err != nil {
				return nil, err
			}
			difference, err := b.bootstrap(p.n, func(images []int) (float64, error) {
				first, err := measure.Of(p.drawn(images))
				if err != nil {
					return 0, err
				}
				second, err := measure.Of(beside.drawn(images))
				return first - second, err
			})
			if err != nil {
				return nil, err
			}
			c.Paired, c.Difference, c.DifferenceLow, c.DifferenceHigh = true, c.Value-c.ControlValue, difference.Low,
				difference.High
			all = append(all, c)
		}
	}
	return all, nil
}

// Calibrated claims a measure of calibration of each model by itself beside what a calibrated model of the same
// confidence has: the mean, and the interval, over as many draws of labels as there are of images
// ([Predictions.Resampled]). Claims are named such as "ResNet by itself: RMS calibration error".
func (b *Comparison) Calibrated(measure Measure) (claim.Claims, error) {
	var all claim.Claims
	for _, name := range b.names {
		p, err := b.model(name)
		if err != nil {
			return nil, err
		}
		c, err := b.claimed(name+" by itself: "+measure.Name, measure, p)
		if err != nil {
			return nil, err
		}
		values := make([]float64, cmp.Or(b.Draws, 1000))
		for seed := range values {
			if values[seed], err = measure.Of(p.Resampled(uint64(seed))); err != nil {
				return nil, err
			}
		}
		slices.Sort(values)
		calibrated := claim.Claim{Name: "if it were calibrated", Value: stat.Mean(values, nil), Unit: c.Unit,
			N: c.N, Seeds: 1,
			Low: stat.Quantile(0.025, stat.Empirical, values, nil), High: stat.Quantile(0.975, stat.Empirical, values, nil)}
		if c, err = c.AgainstClaim(calibrated.Name, calibrated); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Table has a row for each model and a column for each measure, with its interval.
func (b *Comparison) Table() (table.Table, error) {
	t := table.Table{Header: []string{"model"}}
	for _, measure := range b.measures() {
		t.Header = append(t.Header, measure.Name)
	}
	for _, name := range b.names {
		p, err := b.model(name)
		if err != nil {
			return t, err
		}
		row := []any{name}
		for _, measure := range b.measures() {
			c, err := b.claimed(name, measure, p)
			if err != nil {
				return t, err
			}
			row = append(row, fmt.Sprintf("%.3f (%.3f to %.3f)", c.Value, c.Low, c.High))
		}
		t.Add(row...)
	}
	return t, nil
}

// Bundle shows the table.
func (b *Comparison) Bundle() mime.Bundle { return table.Shown(b.Table()) }
