package evaluate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Accuracy is how often a model is right, beside what is easily had.
type Accuracy struct {
	Title string
	// Top1 is the share of the images whose label is predicted.
	Top1 stats.Accuracy
	// Top5 is the share of the images whose label is among the five likeliest classes; nil of fewer than ten classes, and
	// where no more than the likeliest class is known.
	Top5 *stats.Accuracy
	// Balanced is the mean over the classes that a label has of the share of their images that are recognised:
	// scikit-learn's balanced_accuracy_score.
	Balanced float64
	// Commonest is what would be right if each image were taken for the class that most labels have.
	Commonest stats.Accuracy
}

// topFiveFrom is from how many classes on the five likeliest say something.
const topFiveFrom = 10

// Accuracy is the share of images whose label is predicted, with its exact 95% interval, and where there are ten
// classes or more also that of images whose label is among the five likeliest.
func (e *Evaluation) Accuracy() (*Accuracy, error) {
	l, err := e.needLabels("the accuracy")
	if err != nil {
		return nil, err
	}
	a := &Accuracy{Title: e.Title}
	if a.Top1, err = stats.AccuracyOf(l.predicted, l.Labels); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	if l.NumClasses() >= topFiveFrom {
		if top, err := l.TopAccuracy(5); err == nil {
			a.Top5 = &top
		} else if _, known := l.Probabilities(); known == nil {
			return nil, err
		}
	}
	right, of := l.correct()
	a.Commonest.Total = l.Len()
	for _, class := range slices.Sorted(maps.Keys(of)) {
		a.Balanced += share(right[class], of[class]) / float64(len(of))
		a.Commonest.Correct = max(a.Commonest.Correct, of[class])
	}
	return a, nil
}

// rows are the figures with their names.
func (a *Accuracy) rows() [][]any {
	rows := [][]any{{"accuracy", a.Top1.Rate()}}
	if a.Top5 != nil {
		rows = append(rows, []any{"top-5 accuracy", a.Top5.Rate()})
	}
	return append(rows, []any{"mean over the classes", table.Percent(a.Balanced)}, []any{"if all were the commonest class", table.Percent(a.Commonest.Share())})
}

// Table has a row for each figure.
func (a *Accuracy) Table() table.Table {
	t := table.Table{Title: a.Title, Header: []string{"figure", "value", "right", "images"}}
	counts := map[string]stats.Accuracy{"accuracy": a.Top1, "if all were the commonest class": a.Commonest}
	if a.Top5 != nil {
		counts["top-5 accuracy"] = *a.Top5
	}
	for _, row := range a.rows() {
		if c, ok := counts[row[0].(string)]; ok {
			t.Add(append(row, c.Correct, c.Total)...)
		} else {
			t.Add(append(row, nil, nil)...)
		}
	}
	return t
}

// Plot draws a bar for each figure.
func (a *Accuracy) Plot() display.Bars {
	b := display.Bars{Title: a.Title, X: "percent of the images", Format: "%.1f%%"}
	add := func(name string, share float64) {
		b.Names, b.Values = append(b.Names, name), append(b.Values, 100*share)
	}
	add("accuracy", a.Top1.Share())
	if a.Top5 != nil {
		add("top-5 accuracy", a.Top5.Share())
	}
	add("mean over the classes", a.Balanced)
	add("if all were the commonest class", a.Commonest.Share())
	return b
}

// Share is the accuracy in 0..1.
func (a *Accuracy) Share() float64 { return a.Top1.Share() }

// Interval is its exact 95% interval.
func (a *Accuracy) Interval() stats.Interval { return a.Top1.Interval() }

// String is such as "91.3% (90.7 to 91.9%), 9130 of 10000".
func (a *Accuracy) String() string { return a.Top1.String() }

// Bundle shows the table.
func (a *Accuracy) Bundle() mime.Bundle { return a.Table().Bundle() }
