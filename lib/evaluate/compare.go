package evaluate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// Comparison is what two models say of the same images, those of which both say something.
type Comparison struct {
	Title         string
	First, Second *Evaluation
	// Accuracy is how many of the labelled images both have right, one alone, or neither: the difference is the second's
	// accuracy less the first's. It counts nothing where no image has a label.
	Accuracy stats.Paired
	// Agreement is of how many images both say the same class.
	Agreement stats.Accuracy

	pairs []pair
	sure  bool // confidences are known
}

// pair is what two models say of an image.
type pair struct {
	index         int // in the dataset
	label         int // in the first's numbering, -1 for none
	first, second said
	agree         bool
}

// said is what one of them says.
type said struct {
	class      int
	confidence float64
	right      bool
}

// Compare compares two evaluations of the same images, in the same order. Each model has its labels in its own
// numbering; where both have names for their classes, their predictions meet by these, and the two do not agree where
// the second predicts a class that the first does not have. It is an error if no class meets. Where one has no names,
// they meet by number, and it is an error if one has more classes than the other.
func Compare(first, second *Evaluation) (*Comparison, error) {
	if first == nil || second == nil {
		return nil, errors.New("evaluate: there are not two evaluations to compare: one is nil")
	}
	for _, e := range []*Evaluation{first, second} {
		if err := e.there(); err != nil {
			return nil, err
		}
	}
	if first.Asked != second.Asked {
		return nil, fmt.Errorf("evaluate: %s is of %d images and %s of %d: models are compared on the same ones", first.Title,
			first.Asked, second.Title, second.Asked)
	}
	if a, b := first.Answers.Names, second.Answers.Names; a != nil && b != nil {
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				return nil, fmt.Errorf(
					"evaluate: image %d is %s for %s and %s for %s: models are compared on the same images in the same order", i, a[i],
					first.Title, b[i], second.Title)
			}
		}
	}
	c := &Comparison{Title: fmt.Sprintf("%s and %s", first.Answers.Model, second.Answers.Model), First: first,
		Second: second}
	one, two, err := c.both()
	if err != nil {
		return nil, err
	}
	translated, err := inNumberingOf(first.Answers, second.Answers, two)
	if err != nil {
		return nil, err
	}
	var firstRight, secondRight []bool
	for k := range one.at {
		p := pair{index: one.at[k], label: -1, first: one.said(k), second: two.said(k),
			agree: one.predicted[k] == translated[k]}
		c.Agreement.Total++
		if p.agree {
			c.Agreement.Correct++
		}
		if one.label(k) >= 0 && two.label(k) >= 0 {
			p.label = one.label(k)
			firstRight, secondRight = append(firstRight, p.first.right), append(secondRight, p.second.right)
		}
		c.pairs = append(c.pairs, p)
	}
	c.sure = one.confidence != nil && two.confidence != nil
	if len(firstRight) > 0 {
		if c.Accuracy, err = stats.PairedOf(firstRight, secondRight); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// side is what one model says of the images that both answer.
type side struct {
	at         []int // the images' numbers
	labels     []int // nil for none
	predicted  []int
	confidence []float64 // nil where it is not known
}

func (s *side) label(k int) int {
	if s.labels == nil {
		return -1
	}
	return s.labels[k]
}

func (s *side) said(k int) said {
	x := said{class: s.predicted[k], right: s.label(k) >= 0 && s.predicted[k] == s.labels[k]}
	if s.confidence != nil {
		x.confidence = s.confidence[k]
	}
	return x
}

// both are the sides, of the images that both answer.
func (c *Comparison) both() (one, two *side, err error) {
	of := func(e, other *Evaluation) (*side, error) {
		predicted, err := e.known.Predicted()
		if err != nil {
			return nil, err
		}
		confidence, unknown := e.known.Confidence()
		s := &side{}
		for k, i := range e.at {
			if _, there := slices.BinarySearch(other.at, i); !there {
				continue
			}
			s.at, s.predicted = append(s.at, i), append(s.predicted, predicted[k])
			if unknown == nil {
				s.confidence = append(s.confidence, confidence[k])
			}
			if e.known.Labels != nil {
				s.labels = append(s.labels, e.known.Labels[k])
			}
		}
		if len(s.at) == 0 {
			return nil, fmt.Errorf("evaluate: there is no image of which both %s and %s say something", c.First.Title,
				c.Second.Title)
		}
		return s, nil
	}
	if one, err = of(c.First, c.Second); err != nil {
		return nil, nil, err
	}
	two, err = of(c.Second, c.First)
	return one, two, err
}

// predictions are the classes that a model predicts as labels of a dataset, which [model.Relabel] takes.
type predictions struct {
	classes []int
	names   []string
	whose   string
}

func (p predictions) Len() int          { return len(p.classes) }
func (p predictions) Labels() []int     { return p.classes }
func (p predictions) Classes() []string { return p.names }
func (p predictions) Title() string     { return "the predictions of " + p.whose }
func (p predictions) Images(...int) (*tensors.Tensor, error) {
	return nil, errors.New("evaluate: predictions have no images")
}

// inNumberingOf are the classes that a side predicts in the numbering of the first.
func inNumberingOf(first, second *model.Answers, of *side) ([]int, error) {
	if first.Classes == nil || second.Classes == nil {
		if first.NumClasses() != second.NumClasses() {
			return nil, fmt.Errorf("evaluate: %s has %d classes and %s %d, and one has no names for them: which is which is "+
				"not known; give the model its names (Spec.Classes)",
				first.Model, first.NumClasses(), second.Model, second.NumClasses())
		}
		return of.predicted, nil
	}
	if slices.Equal(first.Classes, second.Classes) {
		return of.predicted, nil
	}
	// Class by class, since a class that the first does not have may well be predicted: there they do not agree.
	to := map[int]int{}
	var unknown error
	met := false
	out := make([]int, len(of.predicted))
	for i, class := range of.predicted {
		number, known := to[class]
		if !known {
			found, err := model.Relabel(predictions{[]int{class}, second.Classes, second.Model}, first.Classes, first.Model)
			number = -1
			if err != nil {
				unknown = err
			} else {
				number, met = found[0], true
			}
			to[class] = number
		}
		out[i] = number
	}
	if !met {
		return nil, fmt.Errorf("evaluate: comparing %s with %s: %w", first.Model, second.Model, unknown)
	}
	return out, nil
}

// Disagreements are up to k images of which the two say different classes: first those that one alone has right, then
// those that both have wrong or that have no label; among these the ones first of which the less sure of the two is
// surest.
func (c *Comparison) Disagreements(k int) (*Images, error) {
	if err := checkCount("disagreements", k); err != nil {
		return nil, err
	}
	if c.each() == nil {
		return nil, errors.New("evaluate: this comparison is empty: Compare makes one")
	}
	var found []pair
	for _, p := range c.pairs {
		if !p.agree {
			found = append(found, p)
		}
	}
	all := len(found)
	oneRight := func(p pair) int {
		if p.first.right != p.second.right {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(found, func(a, b pair) int {
		return cmp.Or(cmp.Compare(oneRight(a), oneRight(b)),
			cmp.Compare(min(b.first.confidence, b.second.confidence), min(a.first.confidence, a.second.confidence)))
	})
	found = found[:min(k, all)]
	index := make([]int, len(found))
	for i, p := range found {
		index[i] = p.index
	}
	images := c.First.pick(fmt.Sprintf("%s: they disagree about %d of %d images", c.Title, all, len(c.pairs)), index)
	first, second := c.First.Answers, c.Second.Answers
	label := func(p pair) string {
		if p.label < 0 {
			return ""
		}
		return first.ClassName(p.label)
	}
	add := func(name string, of func(p pair) any) {
		images.columns = append(images.columns, table.Column{Name: name, At: func(i int) any { return of(found[i]) }})
	}
	add("label", func(p pair) any { return label(p) })
	for _, who := range []struct {
		which string
		a     *model.Answers
		of    func(p pair) said
	}{{"first", first, func(p pair) said { return p.first }}, {"second", second, func(p pair) said { return p.second }}} {
		add(who.which+": "+who.a.Model, func(p pair) any { return who.a.ClassName(who.of(p).class) })
		if c.sure {
			add("confidence of the "+who.which, func(p pair) any { return table.Percent(who.of(p).confidence) })
		}
	}
	for _, p := range found {
		line := func(a *model.Answers, s said) string {
			if !c.sure {
				return a.ClassName(s.class)
			}
			return fmt.Sprintf("%s %.0f%%", a.ClassName(s.class), 100*s.confidence)
		}
		caption := fmt.Sprintf("%s\nor %s", line(first, p.first), line(second, p.second))
		if p.label >= 0 {
			caption += "\nlabel " + label(p)
		}
		images.captions = append(images.captions, caption)
	}
	return images, nil
}

// each are the two evaluations; none of a comparison that Compare has not made.
func (c *Comparison) each() []*Evaluation {
	if c.First == nil || c.Second == nil {
		return nil
	}
	return []*Evaluation{c.First, c.Second}
}

// Table has a row for each figure of both models, with their difference, the second less the first: the accuracy, with
// the interval of the pairs, and the calibration, where these can be told. How often both say the same, and McNemar's
// p, is in the title.
func (c *Comparison) Table() table.Table {
	t := table.Table{Title: c.String(), Header: []string{"figure"}}
	var sides [][]figure
	for i, e := range c.each() {
		t.Header = append(t.Header, fmt.Sprintf("%s: %s", []string{"first", "second"}[i], e.Answers.Model))
		_, figures, _, _ := e.summary()
		sides = append(sides, figures)
	}
	t.Header = append(t.Header, "second less first")
	if len(sides) != 2 {
		return t
	}
	for _, one := range sides[0] {
		at := slices.IndexFunc(sides[1], func(f figure) bool { return f.name == one.name })
		if at < 0 { // of only one can it be told
			continue
		}
		two := sides[1][at].value
		difference := plain(two.Value - one.value.Value)
		if one.name == accuracyName {
			iv := c.Accuracy.Interval()
			difference = table.Rate{Value: c.Accuracy.Difference(), Low: iv.Low, High: iv.High}
		}
		t.Add(one.name, one.value, two, difference)
	}
	return t
}

// Plot draws how often predictions of a confidence are right, for both models, with bands of the 95% interval: the
// reliability diagrams of the two in one. It has the errors of [Evaluation.Calibration].
func (c *Comparison) Plot() (display.Lines, error) {
	lines := display.Lines{Title: c.Title, X: "confidence", Y: "accuracy, with 95% interval", YMax: 1}
	for _, e := range c.each() {
		cal, err := e.Calibration()
		if err != nil {
			return lines, err
		}
		bins, err := cal.Predictions.Bins(uncertainty.EqualWidth(widthBins))
		if err != nil {
			return lines, err
		}
		s := display.Series{Name: fmt.Sprintf("%s, ECE %.1f%%", e.Answers.Model, 100*cal.ECE)}
		for _, b := range bins {
			if b.Accuracy.Total == 0 {
				continue
			}
			iv := b.Accuracy.Interval()
			s.X, s.Y = append(s.X, b.Confidence), append(s.Y, b.Accuracy.Share())
			s.Low, s.High = append(s.Low, iv.Low), append(s.High, iv.High)
		}
		lines.Series = append(lines.Series, s)
	}
	if len(lines.Series) == 0 {
		return lines, errors.New("evaluate: this comparison is empty: Compare makes one")
	}
	lines.Series = append(lines.Series, display.Series{Name: "calibrated", X: []float64{0, 1}, Y: []float64{0, 1}})
	return lines, nil
}

// String is such as "a and b: second less first +2.0 points (0.5 to 3.5), McNemar's p = 0.012; they agree on 88.0% …".
func (c *Comparison) String() string {
	if c.each() == nil {
		return "this comparison is empty: Compare makes one"
	}
	text := c.Title + ": "
	if c.Accuracy.Total() > 0 {
		text += "second less first " + c.Accuracy.String() + "; "
	}
	return text + "they agree on " + c.Agreement.String()
}

// shownDisagreements is how many are shown with the comparison.
const shownDisagreements = 12

// Bundle shows the table, the calibration of both, and images that they disagree about.
func (c *Comparison) Bundle() mime.Bundle {
	parts := []mime.Bundle{c.Table().Bundle()}
	if lines, err := c.Plot(); err != nil {
		parts = append(parts, mime.TextOf(sentence(err)))
	} else {
		parts = append(parts, lines.Bundle())
	}
	if images, err := c.Disagreements(shownDisagreements); err != nil {
		parts = append(parts, mime.TextOf(sentence(err)))
	} else {
		parts = append(parts, images.Bundle())
	}
	for _, e := range c.each() {
		for _, note := range e.notes() {
			parts = append(parts, mime.TextOf(e.Answers.Model+": "+note))
		}
	}
	return display.Stack(parts...)
}
