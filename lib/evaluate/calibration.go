package evaluate

import (
	"fmt"

	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// Calibration is how far a model's confidence agrees with how often it is right.
type Calibration struct {
	Title string
	// Confidence is the mean probability of the predicted class, and Accuracy the share of images that are right: the
	// model is too sure of itself where the first is more.
	Confidence, Accuracy float64
	// ECE is the expected calibration error in 15 bins of equal width (Guo et al. 2017), 0 to 1, and Resampled the same of
	// a calibrated model with these confidences: so much is due to the bins and the number of images alone.
	ECE, Resampled float64
	// MCE is the largest distance of a bin, RMS the root of the mean square in bins of 100 images (Hendrycks et al. 2019).
	MCE, RMS float64
	// Brier is the Brier score, 0 to 2, and NLL the negative log-likelihood in nats.
	Brier, NLL float64
	// Predictions are what else can be asked: bins, other binnings, areas, entropies.
	Predictions *uncertainty.Predictions
}

// The binnings that the papers take.
const (
	widthBins = 15
	massSize  = 100
)

// Calibration measures how far confidence and accuracy agree, with the measures of package uncertainty. It is an error
// where no image has a label, where only predicted classes are known, and where classes do not exclude each other.
func (e *Evaluation) Calibration() (*Calibration, error) {
	l, err := e.needLabels("the calibration")
	if err != nil {
		return nil, err
	}
	p, err := uncertainty.FromAnswers(l.Answers)
	if err != nil {
		return nil, fmt.Errorf("evaluate: the calibration of %s: %w", e.Title, err)
	}
	c := &Calibration{Title: e.Title, Accuracy: p.Accuracy().Share(), Brier: p.Brier(), NLL: p.NegativeLogLikelihood(),
		Predictions: p}
	c.Confidence = stat.Mean(p.Confidence(), nil)
	for _, m := range []struct {
		of    func(uncertainty.Binning) (float64, error)
		by    uncertainty.Binning
		value *float64
	}{
		{p.ExpectedCalibrationError, uncertainty.EqualWidth(widthBins), &c.ECE},
		{p.Resampled(0).ExpectedCalibrationError, uncertainty.EqualWidth(widthBins), &c.Resampled},
		{p.MaximumCalibrationError, uncertainty.EqualWidth(widthBins), &c.MCE},
		{p.RMSCalibrationError, uncertainty.Adaptive(massSize), &c.RMS},
	} {
		if *m.value, err = m.of(m.by); err != nil {
			return nil, fmt.Errorf("evaluate: the calibration of %s: %w", e.Title, err)
		}
	}
	return c, nil
}

// figures are those of the summary; the accuracy stands elsewhere in it.
func (c *Calibration) figures() []figure {
	n := c.Predictions.Len()
	return []figure{
		{"mean confidence", plain(c.Confidence), n},
		{"expected calibration error, 15 bins", plain(c.ECE), n},
		{"the same of a calibrated model", plain(c.Resampled), n},
	}
}

// Table has a row for each figure.
func (c *Calibration) Table() table.Table {
	t := table.Table{Title: c.Title, Header: []string{"figure", "value"}}
	if c.Predictions != nil {
		t.Title += fmt.Sprintf(": %s", plural.Of(c.Predictions.Len(), "image"))
	}
	t.Add("accuracy", c.Accuracy)
	t.Add("mean confidence", c.Confidence)
	t.Add("expected calibration error, 15 bins", c.ECE)
	t.Add("the same of a calibrated model", c.Resampled)
	t.Add("maximum calibration error, 15 bins", c.MCE)
	t.Add("RMS calibration error, bins of 100 images", c.RMS)
	t.Add("Brier score", c.Brier)
	t.Add("negative log-likelihood, nats", c.NLL)
	return t
}

// Plot is the reliability diagram.
func (c *Calibration) Plot() display.Reliability {
	if c.Predictions == nil {
		return display.Reliability{Title: c.Title}
	}
	return c.Predictions.Diagram(fmt.Sprintf("%s: ECE %.1f%%", c.Title, 100*c.ECE))
}

// Bundle shows the figures and the reliability diagram.
func (c *Calibration) Bundle() mime.Bundle {
	return display.Stack(c.Table().Bundle(), c.Plot().Bundle())
}
