package uncertainty

import (
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Table is for each image its number in the dataset and its file, where that is known, its label, the predicted class,
// both by name where classes have names, whether that is right, its probability, and that of the label.
func (p *Predictions) Table() table.Table {
	label := p.LabelProbability()
	class := func(name string, classes []int) table.Column {
		if p.classOf == nil {
			return table.ColumnOf(name, classes)
		}
		return table.Column{Name: name, At: func(i int) any { return p.classOf[classes[i]] }}
	}
	return table.PerImage{Index: p.index, Files: p.files, Columns: []table.Column{
		class("label", p.labels), class("predicted", p.Predicted()), table.ColumnOf("right", p.Correct()),
		{Name: "confidence", At: func(i int) any { return table.Percent(p.confidence[i]) }},
		{Name: "probability of the label", At: func(i int) any { return table.Percent(label[i]) }},
	}}.Table(p.n)
}

// Plot is the reliability diagram.
func (p *Predictions) Plot() display.Reliability { return p.Diagram("") }

// Bundle shows how good the predictions are and how well calibrated: scores, and the reliability diagram.
func (p *Predictions) Bundle() mime.Bundle {
	calibration, err := p.ExpectedCalibrationError(EqualWidth(15))
	if err != nil {
		return mime.TextOf(err.Error())
	}
	t := table.Table{Header: []string{"images", "accuracy", "expected calibration error, 15 bins", "Brier score",
		"negative log-likelihood, nats"}}
	t.Add(p.n, p.Accuracy().Rate(), table.Percent(calibration), p.Brier(), p.NegativeLogLikelihood())
	return display.Stack(t.Bundle(), p.Plot().Bundle())
}
