package uncertainty

import (
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Table is for each image its label, the predicted class, whether that is right, its probability, and that of the
// label.
func (p *Predictions) Table() table.Table {
	label := p.LabelProbability()
	return table.PerImage{Columns: []table.Column{
		table.ColumnOf("label", p.labels), table.ColumnOf("predicted", p.Predicted()), table.ColumnOf("right", p.Correct()),
		{Name: "confidence", At: func(i int) any { return table.Percent(p.confidence[i]) }},
		{Name: "probability of the label", At: func(i int) any { return table.Percent(label[i]) }},
	}}.Table(p.n)
}

// Plot is the reliability diagram.
func (p *Predictions) Plot() display.Reliability { return p.Diagram("") }

// Bundle shows how good the predictions are and how well calibrated: scores, and the reliability diagram.
func (p *Predictions) Bundle() mime.Bundle {
	accuracy, interval := p.Accuracy(), p.Accuracy().Interval()
	calibration, err := p.ExpectedCalibrationError(EqualWidth(15))
	if err != nil {
		return mime.TextOf(err.Error())
	}
	t := table.Table{Header: []string{"images", "accuracy", "expected calibration error, 15 bins", "Brier score", "negative log-likelihood, nats"}}
	t.Add(p.n, table.Rate{Value: accuracy.Share(), Low: interval.Low, High: interval.High}, table.Percent(calibration), p.Brier(), p.NegativeLogLikelihood())
	return display.Stack(t.Bundle(), p.Plot().Bundle())
}
