package uncertainty

import (
	"fmt"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// ByConfidence says what is left of several models' predictions at each confidence, as figure 1 of Ovadia et al. does:
// [Predictions.AccuracyAtConfidence] for each. The zero ByConfidence is empty.
type ByConfidence struct {
	Thresholds []float64 // in 0..1; nil for 0, 0.1, … 0.9
	names      []string
	said       []*Predictions
}

// Add gives it the predictions of one more model.
func (b *ByConfidence) Add(name string, p *Predictions) {
	b.names, b.said = append(b.names, name), append(b.said, p)
}

// kept is what is left of each model's predictions.
func (b *ByConfidence) kept() ([][]SelectiveAccuracy, error) {
	if b == nil || len(b.said) == 0 {
		return nil, fmt.Errorf("uncertainty: there are no predictions to look at by confidence: add some")
	}
	thresholds := b.Thresholds
	for i := 0; b.Thresholds == nil && i < 10; i++ {
		thresholds = append(thresholds, float64(i)/10)
	}
	var all [][]SelectiveAccuracy
	for i, p := range b.said {
		if p == nil {
			return nil, fmt.Errorf("uncertainty: %s has no predictions: they are nil", b.names[i])
		}
		kept, err := p.AccuracyAtConfidence(thresholds...)
		if err != nil {
			return nil, err
		}
		all = append(all, kept)
	}
	return all, nil
}

// Plot draws, against each confidence, the accuracy among the images of which a model is at least so sure; where there
// is no such image a line ends.
func (b *ByConfidence) Plot() (display.Lines, error) {
	return b.lines("accuracy", func(k SelectiveAccuracy) (float64, bool) {
		return k.Accuracy.Share(),
			k.Accuracy.Total > 0
	})
}

// Counts draws, against each confidence, of how many images a model is at least so sure.
func (b *ByConfidence) Counts() (display.Lines, error) {
	return b.lines("number of images", func(k SelectiveAccuracy) (float64, bool) {
		return float64(k.Accuracy.Total),
			true
	})
}

func (b *ByConfidence) lines(what string, of func(SelectiveAccuracy) (value float64, is bool)) (display.Lines, error) {
	l := display.Lines{Title: what + " by confidence", X: "confidence of at least", Y: what}
	all, err := b.kept()
	if err != nil {
		return l, err
	}
	for i, kept := range all {
		series := display.Series{Name: b.names[i]}
		for _, k := range kept {
			if v, is := of(k); is {
				series.X, series.Y = append(series.X, k.Threshold), append(series.Y, v)
			}
		}
		l.Series = append(l.Series, series)
	}
	return l, nil
}

// Table has a row for each model and confidence: the accuracy among the images of which it is at least so sure.
func (b *ByConfidence) Table() (table.Table, error) {
	all, err := b.kept()
	if err != nil {
		return table.Table{}, err
	}
	t := table.Table{Header: []string{"model", "confidence from", "accuracy"}}
	for i, kept := range all {
		for _, k := range kept {
			t.Add(b.names[i], table.Percent(k.Threshold), k.Accuracy.Rate())
		}
	}
	return t, nil
}

// Bundle shows the plot.
func (b *ByConfidence) Bundle() mime.Bundle {
	l, err := b.Plot()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return l.Bundle()
}
