package evaluate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// ClassScores is how a model does in a class.
type ClassScores struct {
	Class     int    `display:"class"`
	Name      string `display:"name"`
	Images    int    `display:"images"`    // with this label
	Predicted int    `display:"predicted"` // images that are taken for this class
	// Accuracy is the share of the class's images that are recognised, which is its recall.
	Accuracy stats.Accuracy `display:"accuracy"`
	// Precision is the share of this class among the images that are taken for it; NaN where none is.
	Precision float64 `display:"precision,percent"`
	// Recall is the accuracy without its interval; NaN where no image has the label.
	Recall float64 `display:"recall,percent"`
	// F1 is the harmonic mean of both, 2·right / (images + predicted).
	F1 float64 `display:"F1,percent"`
}

// PerClass is how a model does in each class that is the label of an image or is predicted.
type PerClass struct {
	Title   string
	Classes []ClassScores // in the order of the classes' numbers
	// MacroPrecision, MacroRecall and MacroF1 are the means over these classes, where what is not defined counts as 0:
	// those of scikit-learn's classification_report.
	MacroPrecision, MacroRecall, MacroF1 float64
}

// PerClass counts in each class how many images there are, how many of these are recognised, with an exact 95%
// interval, how many are taken for it, and precision, recall and F1.
func (e *Evaluation) PerClass() (*PerClass, error) {
	l, err := e.needLabels("the accuracy in each class")
	if err != nil {
		return nil, err
	}
	right, of := l.correct()
	taken := map[int]int{}
	for _, class := range l.predicted {
		taken[class]++
	}
	p := &PerClass{Title: e.Title}
	for class := range l.NumClasses() {
		if of[class]+taken[class] == 0 {
			continue
		}
		s := ClassScores{
			Class: class, Name: l.ClassName(class), Images: of[class], Predicted: taken[class],
			Accuracy:  stats.Accuracy{Correct: right[class], Total: of[class]},
			Precision: share(right[class], taken[class]), Recall: share(right[class], of[class]),
			F1: share(2*right[class], of[class]+taken[class]),
		}
		p.Classes = append(p.Classes, s)
		for _, m := range []struct {
			of   float64
			mean *float64
		}{{s.Precision, &p.MacroPrecision}, {s.Recall, &p.MacroRecall}, {s.F1, &p.MacroF1}} {
			if !math.IsNaN(m.of) {
				*m.mean += m.of
			}
		}
	}
	n := float64(len(p.Classes))
	p.MacroPrecision, p.MacroRecall, p.MacroF1 = p.MacroPrecision/n, p.MacroRecall/n, p.MacroF1/n
	return p, nil
}

// share is k of n, NaN of none.
func share(k, n int) float64 {
	if n == 0 {
		return math.NaN()
	}
	return float64(k) / float64(n)
}

// Worst are the classes by their F1, the lowest first; of equal ones the one with more images, then the first.
func (p *PerClass) Worst() []ClassScores {
	worst := slices.Clone(p.Classes)
	slices.SortStableFunc(worst, func(a, b ClassScores) int {
		return cmp.Or(cmp.Compare(a.F1, b.F1), cmp.Compare(b.Images, a.Images))
	})
	return worst
}

// Table has a row for each class.
func (p *PerClass) Table() table.Table {
	t := classTable(p.Classes)
	t.Title = fmt.Sprintf("%s: macro precision %.1f%%, recall %.1f%%, F1 %.1f%%", p.Title, 100*p.MacroPrecision,
		100*p.MacroRecall, 100*p.MacroF1)
	return t
}

func classTable(classes []ClassScores) table.Table {
	t := table.Table{Header: []string{"class", "name", "images", "predicted", "accuracy", "precision", "recall", "F1"}}
	for _, c := range classes {
		t.Add(c.Class, c.Name, c.Images, c.Predicted, c.Accuracy.Rate(), table.Percent(c.Precision), table.Percent(c.Recall),
			table.Percent(c.F1))
	}
	return t
}

// worst are the worst classes, the worst first.
func (p *PerClass) worst(most int) table.Table {
	t := classTable(p.Worst()[:min(most, len(p.Classes))])
	t.Title = "The lowest F1"
	if len(t.Rows) < len(p.Classes) {
		t.Title += fmt.Sprintf(" of %d classes", len(p.Classes))
	}
	return t
}

// mostBars is how many classes are drawn and shown.
const mostBars = 40

// Plot draws the F1 of each class, the lowest on top; of more than 40 classes those with the lowest.
func (p *PerClass) Plot() display.Bars {
	worst := p.Worst()
	b := display.Bars{Title: p.Title, X: "F1, percent", Format: "%.1f%%"}
	if len(worst) > mostBars {
		b.Title += fmt.Sprintf(": the lowest %d of %d classes", mostBars, len(worst))
		worst = worst[:mostBars]
	}
	for _, c := range worst {
		b.Add(c.Name, 100*c.F1)
	}
	return b
}

// Bundle shows the table; of more than 40 classes those with the lowest F1.
func (p *PerClass) Bundle() mime.Bundle {
	if len(p.Classes) <= mostBars {
		return p.Table().Bundle()
	}
	t := p.worst(mostBars)
	t.Title = fmt.Sprintf("%s; %s (Table has all)", p.Table().Title, t.Title)
	return t.Bundle()
}
