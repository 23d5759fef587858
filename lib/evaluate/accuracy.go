package evaluate

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

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
		if a.Top5, err = l.among(5); err != nil {
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

// among counts the images whose label is among the k likeliest classes, of equal ones the first; nil where no more than
// the likeliest class is known. No order of all classes is made for it.
func (l *labeled) among(k int) (*stats.Accuracy, error) {
	scores, err := l.Logits()
	if err != nil || scores.Shape().Dimensions[1] != l.NumClasses() {
		if scores, err = l.Probabilities(); err != nil {
			top, unknown := l.TopAccuracy(k)
			if unknown != nil {
				return nil, nil
			}
			return &top, nil
		}
	}
	a := &stats.Accuracy{Total: l.Len()}
	err = tensors.ConstFlatData(scores, func(flat []float32) {
		classes := l.NumClasses()
		for i, label := range l.Labels {
			row, before := flat[i*classes:(i+1)*classes], 0
			for class, v := range row {
				if v > row[label] || v == row[label] && class < label {
					before++
				}
			}
			if before < k {
				a.Correct++
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	return a, nil
}

// figure is a row of a table: a share with its interval where that is known, and of how many images.
type figure struct {
	name   string
	value  table.Rate
	images int
}

// plain is a share without an interval.
func plain(share float64) table.Rate {
	return table.Rate{Value: share, Low: math.NaN(), High: math.NaN()}
}

func counted(a stats.Accuracy) table.Rate {
	iv := a.Interval()
	return table.Rate{Value: a.Share(), Low: iv.Low, High: iv.High}
}

func figureTable(title string, figures []figure) table.Table {
	t := table.Table{Title: title, Header: []string{"figure", "value", "images"}}
	for _, f := range figures {
		t.Add(f.name, f.value, f.images)
	}
	return t
}

// accuracyName is what tables call the accuracy.
const accuracyName = "accuracy"

func (a *Accuracy) figures() []figure {
	n := a.Top1.Total
	figures := []figure{{accuracyName, counted(a.Top1), n}}
	if a.Top5 != nil {
		figures = append(figures, figure{"top-5 accuracy", counted(*a.Top5), n})
	}
	return append(figures, figure{"mean over the classes", plain(a.Balanced), n}, figure{"if all were the commonest class",
		plain(a.Commonest.Share()), n})
}

// Table has a row for each figure.
func (a *Accuracy) Table() table.Table { return figureTable(a.Title, a.figures()) }

// Plot draws a bar for each figure.
func (a *Accuracy) Plot() display.Bars {
	b := display.Bars{Title: a.Title, X: "percent of the images", Format: "%.1f%%"}
	b.Add("accuracy", 100*a.Top1.Share())
	if a.Top5 != nil {
		b.Add("top-5 accuracy", 100*a.Top5.Share())
	}
	b.Add("mean over the classes", 100*a.Balanced)
	b.Add("if all were the commonest class", 100*a.Commonest.Share())
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
