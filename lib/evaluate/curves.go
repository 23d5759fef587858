package evaluate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// ClassArea is how well the probability of a class tells its images from all others.
type ClassArea struct {
	Class  int     `display:"class"`
	Name   string  `display:"name"`
	Images int     `display:"images"` // of the class
	Others int     `display:"others"`
	Area   float64 `display:"area,percent"` // 0 to 1
	// Interval is the area's 95% interval, stats.DeLong of a receiver operating characteristic and
	// stats.AveragePrecisionInterval of precision and recall. It is not defined, and its ends are NaN, of an area of 0 or
	// 1, and of a receiver operating characteristic with a single image of the class, or a single other.
	Interval stats.Interval `display:"interval"`
}

// rate is the area with its interval, where it has one.
func (a ClassArea) rate() table.Rate {
	return table.Rate{Value: a.Area, Low: a.Interval.Low, High: a.Interval.High}
}

// Curves are the receiver operating characteristics of classes, each against the rest, or their precision-recall
// curves, with the areas under them.
type Curves struct {
	Title string
	// Areas are those of the classes that were asked for, or of all that are the label of some images and not of others.
	Areas []ClassArea
	// Macro is the mean of the areas.
	Macro float64

	precision bool // else the receiver operating characteristic
	of        *labeled
}

// ROC is how the share of a class's images that are recognised grows with the share of others that are taken for it, as
// the threshold of the class's probability falls: one class against the rest. The area under it is 1 where all images
// of the class have a higher probability of it than all others, and 0.5 by chance. No classes means all. It is an error
// where no class is the label of some images and not of others, and where only predicted classes are known.
//
// The areas are scikit-learn's roc_auc_score, their mean that with multi_class="ovr" and average="macro". Each has
// DeLong's 95% interval.
func (e *Evaluation) ROC(classes ...int) (*Curves, error) {
	return e.curves("the receiver operating characteristic", false, classes)
}

// PrecisionRecall is how precision falls as recall grows, with a falling threshold of the class's probability: one
// class against the rest. The area is the average precision, without interpolation; by chance it is the share of the
// class. No classes means all. It has the errors of [Evaluation.ROC].
//
// The areas are scikit-learn's average_precision_score, their mean that with average="macro". Each has the 95% interval
// of Boyd et al.
func (e *Evaluation) PrecisionRecall(classes ...int) (*Curves, error) {
	return e.curves("precision and recall", true, classes)
}

func (e *Evaluation) curves(what string, precision bool, classes []int) (*Curves, error) {
	l, err := e.needLabels(what)
	if err != nil {
		return nil, err
	}
	if _, err := l.Probabilities(); err != nil {
		return nil, fmt.Errorf("evaluate: %s of %s: %w", what, e.Title, err)
	}
	_, of := l.correct()
	c := &Curves{Title: e.Title, precision: precision, of: l}
	for _, class := range classes {
		switch {
		case class < 0 || class >= l.NumClasses():
			return nil, fmt.Errorf("evaluate: %s: class %d does not exist: %s has the classes 0 to %d", what, class, l.Model,
				l.NumClasses()-1)
		case of[class] == 0 || of[class] == l.Len():
			return nil, fmt.Errorf(
				"evaluate: %s of class %d, %s: %d of %d images have this label: it takes images with it and without", what, class,
				l.ClassName(class), of[class], l.Len())
		}
	}
	if len(classes) == 0 {
		for class := range l.NumClasses() {
			if of[class] > 0 && of[class] < l.Len() {
				classes = append(classes, class)
			}
		}
	}
	if len(classes) == 0 {
		return nil, fmt.Errorf("evaluate: %s of %s: there is no label but %s: it takes images with a label and without", what,
			e.Title, l.ClassName(l.Labels[0]))
	}
	c.Areas = make([]ClassArea, len(classes))
	const work = "evaluate: areas under curves"
	if done, err := parallel.Each(work, len(classes), func(i int) error {
		class := classes[i]
		inside, outside, err := c.scores(class)
		if err != nil {
			return err
		}
		a, interval, err := c.area(inside, outside)
		c.Areas[i] = ClassArea{class, l.ClassName(class), len(inside), len(outside), a, interval}
		return err
	}); err != nil {
		return nil, interrupt.After(err, work, done, len(classes), "classes") // the mean over some would be another figure
	}
	for _, a := range c.Areas {
		c.Macro += a.Area / float64(len(c.Areas))
	}
	return c, nil
}

// area is the area under the curve of these scores with its 95% interval, of NaN where that is not defined.
func (c *Curves) area(inside, outside []float64) (area float64, interval stats.Interval, err error) {
	var undefined error
	if c.precision {
		if area, err = stats.AveragePrecision(inside, outside); err == nil {
			interval, undefined = stats.AveragePrecisionInterval(area, len(inside), 0.05)
		}
	} else if area, err = stats.AUROC(inside, outside); err == nil {
		interval, undefined = stats.DeLong(inside, outside, 0.05)
	}
	if undefined != nil {
		interval = stats.Interval{Low: math.NaN(), High: math.NaN()}
	}
	return area, interval, err
}

// scores are the probabilities of a class for its images, and for all others.
func (c *Curves) scores(class int) (inside, outside []float64, err error) {
	p, err := c.of.OfClass(class)
	if err != nil {
		return nil, nil, err
	}
	for i, label := range c.of.Labels {
		if label == class {
			inside = append(inside, p[i])
		} else {
			outside = append(outside, p[i])
		}
	}
	return inside, outside, nil
}

// Points are those of a class's curve, from the highest threshold down: see [stats.Curve].
func (c *Curves) Points(class int) ([]stats.CurvePoint, error) {
	if c.of == nil {
		return nil, errors.New("evaluate: these curves have no answers: ROC and PrecisionRecall make them")
	}
	inside, outside, err := c.scores(class)
	if err != nil {
		return nil, err
	}
	return stats.Curve(inside, outside)
}

func (c *Curves) name() string {
	if c.precision {
		return "average precision"
	}
	return "area under the ROC curve"
}

// heading says what the areas are, and their mean.
func (c *Curves) heading() string {
	if len(c.Areas) > 1 {
		return fmt.Sprintf("%s: mean %s %.3f", c.Title, c.name(), c.Macro)
	}
	return fmt.Sprintf("%s: %s %.3f", c.Title, c.name(), c.Macro)
}

// Table has a row for each class with its area; their mean is in the title.
func (c *Curves) Table() table.Table {
	t := table.Table{Title: c.heading(), Header: []string{"class", "name", "images", "others", c.name()}}
	for _, a := range c.Areas {
		t.Add(a.Class, a.Name, a.Images, a.Others, a.rate())
	}
	return t
}

const (
	mostDrawn = 6   // curves of single classes
	mostMean  = 200 // classes that the mean curve is made of
	gridSteps = 200 // of the mean curve
)

// lowest are the areas, the lowest first.
func (c *Curves) lowest() []ClassArea {
	areas := slices.Clone(c.Areas)
	slices.SortStableFunc(areas, func(a, b ClassArea) int { return cmp.Compare(a.Area, b.Area) })
	return areas
}

// Plot draws the curves; of more than 6 classes those with the lowest areas and, of up to 200, the mean of all curves
// at each share of false positives, or at each recall.
func (c *Curves) Plot() (display.Lines, error) {
	lines := display.Lines{Title: c.heading(), YMax: 1, X: "false-positive rate", Y: "true-positive rate"}
	if c.precision {
		lines.X, lines.Y = "recall", "precision"
	}
	if len(c.Areas) > mostDrawn && len(c.Areas) <= mostMean {
		mean := display.Series{Name: fmt.Sprintf("mean of %d classes", len(c.Areas)), X: make([]float64, gridSteps+1),
			Y: make([]float64, gridSteps+1)}
		for _, a := range c.Areas {
			x, y, err := c.line(a.Class)
			if err != nil {
				return lines, err
			}
			for g := range mean.X {
				mean.X[g] = float64(g) / gridSteps
				mean.Y[g] += between(x, y, mean.X[g]) / float64(len(c.Areas))
			}
		}
		lines.Series = append(lines.Series, mean)
	}
	areas := c.lowest()
	for _, a := range areas[:min(len(areas), mostDrawn)] {
		x, y, err := c.line(a.Class)
		if err != nil {
			return lines, err
		}
		lines.Series = append(lines.Series, display.Series{Name: fmt.Sprintf("%s, %.3f", a.Name, a.Area), X: x, Y: y})
	}
	if !c.precision {
		lines.Series = append(lines.Series, display.Series{Name: "chance", X: []float64{0, 1}, Y: []float64{0, 1}})
	}
	return lines, nil
}

// line is a class's curve as it is drawn, with growing x: the receiver operating characteristic from (0, 0) on.
func (c *Curves) line(class int) (x, y []float64, err error) {
	points, err := c.Points(class)
	if err != nil {
		return nil, nil, err
	}
	if !c.precision {
		x, y = []float64{0}, []float64{0}
	}
	for _, p := range points {
		if c.precision {
			x, y = append(x, p.Recall), append(y, p.Precision)
		} else {
			x, y = append(x, p.FalsePositives), append(y, p.Recall)
		}
	}
	return x, y, nil
}

// between is the value at a place of a line, the last of several at the same place; before its beginning the first.
func between(x, y []float64, at float64) float64 {
	after := sort.Search(len(x), func(i int) bool { return x[i] > at })
	switch {
	case after == 0:
		return y[0]
	case after == len(x):
		return y[after-1]
	}
	before := after - 1
	return y[before] + (y[after]-y[before])*(at-x[before])/(x[after]-x[before])
}

// Arrays are the classes, [C] int64, their areas, [C] float64, and the low and the high ends of the areas' 95%
// intervals, [C] float64, NaN where there is none.
func (c *Curves) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if len(c.Areas) == 0 {
		return nil, nil, errors.New("evaluate: there are no curves: ROC and PrecisionRecall make them")
	}
	classes, areas := make([]int64, len(c.Areas)), make([]float64, len(c.Areas))
	low, high := make([]float64, len(c.Areas)), make([]float64, len(c.Areas))
	for i, a := range c.Areas {
		classes[i], areas[i], low[i], high[i] = int64(a.Class), a.Area, a.Interval.Low, a.Interval.High
	}
	return map[string]*tensors.Tensor{
		"classes": tensors.FromFlatDataAndDimensions(classes, len(classes)), "areas": tensors.FromFlatDataAndDimensions(areas,
			len(areas)),
		"low": tensors.FromFlatDataAndDimensions(low, len(low)), "high": tensors.FromFlatDataAndDimensions(high, len(high)),
	}, nil, nil
}

// Bundle shows the plot, and the lowest areas.
func (c *Curves) Bundle() mime.Bundle {
	t := table.Table{Title: "The lowest areas, with their 95% intervals", Header: c.Table().Header}
	areas := c.lowest()
	for _, a := range areas[:min(len(areas), 2*mostWorst)] {
		t.Add(a.Class, a.Name, a.Images, a.Others, a.rate())
	}
	return display.Stack(display.Shown(c.Plot()), t.Bundle())
}
