// Package evaluate answers what is asked first of a classifier and a dataset: how often it is right, in which classes
// it is not, what it takes for what, how sure it is of its mistakes, which labels look wrong, and which images are
// unlike the others.
//
//	e, err := evaluate.Of(m, ds)   // the only pass through the network
//	e.Accuracy(); e.PerClass(); e.Confusion(); e.ROC(); e.PrecisionRecall(); e.Calibration()
//	e.Mistakes(20); e.LabelIssues(); e.Unlike(20); e.UnlikeTraining(20, training)
//
// [Of] asks the network about each image once. The questions are answered from what it said; images are read again
// only where their pictures are shown. [Compare] compares two models on the same images.
package evaluate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Evaluation is what a model says of the images of a dataset, to be asked about. Its questions may be asked from
// several goroutines.
type Evaluation struct {
	// Answers are those to all images.
	Answers *model.Answers
	// Title says of which model and which images.
	Title string
	// Asked is how many images there are. Where an interrupt has left answers to fewer, those of the first are here.
	Asked int

	m       *model.Model  // nil where answers were given
	images  model.Dataset // nil if there are no pictures
	classes int           // how many
	// known are the answers that are numbers, and at the numbers of their images, in order.
	known *model.Answers
	at    []int
	// onlyLabeled are those among them to images with a label, which are found once.
	onlyLabeled func() (*labeled, error)
}

// labeled are answers to images whose labels are known.
type labeled struct {
	*model.Answers
	classes   int
	at        []int // the images' numbers
	predicted []int
}

// NumClasses is the number of classes, of which a label may be the highest.
func (l *labeled) NumClasses() int { return l.classes }

// Of asks a model about a dataset, a batch at a time. Labels meet the model's classes by name as [model.Model.LabelsOf]
// says, where it is an error if they do not; images without a label, of which there may be any number, do not count
// where labels are needed. The images are to have the model's size: see [model.Model.Prepare].
//
// An image of which the network says what is not a number is left out of all that is asked, and the evaluation says so;
// it is an error if it says so of all.
//
// Interrupted, it returns the evaluation of the images that are done, if any are, beside the error.
func Of(m *model.Model, ds model.Dataset) (*Evaluation, error) {
	answers, stopped := m.Answers(ds)
	if answers == nil {
		return nil, stopped
	}
	e, err := FromAnswers(answers, ds)
	if err != nil {
		return nil, err
	}
	e.m = m
	return e, stopped
}

// FromAnswers evaluates what a model has answered, such as what [model.ReadAnswers] reads. images are those that it was
// asked about, in their order; nil if they are not at hand: then nothing shows pictures. If there are more of them than
// answers, these are taken for what an interrupt has left of the first.
func FromAnswers(a *model.Answers, images model.Dataset) (*Evaluation, error) {
	if a == nil {
		return nil, errors.New("evaluate: there are no answers: they are nil")
	}
	if a.Len() == 0 {
		return nil, fmt.Errorf("evaluate: there is nothing to evaluate: %s has answered about no image", a.Model)
	}
	e := &Evaluation{Answers: a, Title: a.Model, Asked: a.Len(), known: a}
	if table.IsNil(images) {
		images = nil
	}
	if images != nil {
		if e.Asked = images.Len(); e.Asked < a.Len() {
			return nil, fmt.Errorf(
				"evaluate: %s has answered about %d images, and the dataset has %d: they are the images that it was asked about",
				a.Model, a.Len(), e.Asked)
		}
		e.images = images
		if titled, ok := images.(interface{ Title() string }); ok {
			e.Title += " on " + titled.Title()
		}
	}
	if err := e.checkLabels(); err != nil {
		return nil, err
	}
	if e.classes < 2 {
		return nil, fmt.Errorf("evaluate: %s has one class: there is nothing that it could take an image for besides",
			a.Model)
	}
	e.nameClasses()
	if err := e.keepNumbers(); err != nil {
		return nil, err
	}
	e.onlyLabeled = sync.OnceValues(e.withLabels)
	return e, nil
}

// checkLabels finds how many classes there are, and whether each image has a label of them and a name, if any has.
func (e *Evaluation) checkLabels() error {
	a := e.Answers
	e.classes = a.NumClasses()
	if a.Names != nil && len(a.Names) != a.Len() {
		return fmt.Errorf("evaluate: %s has answered about %d images, and %d have names", a.Model, a.Len(), len(a.Names))
	}
	if a.Labels == nil {
		return nil
	}
	if _, err := a.Probabilities(); err != nil { // of predicted classes alone nobody knows which others there are
		for _, label := range a.Labels {
			e.classes = max(e.classes, label+1)
		}
	}
	if err := model.CheckLabels(a.Labels, a.Len(), e.classes); err != nil {
		return fmt.Errorf("evaluate: %s: %w", a.Model, err)
	}
	return nil
}

// nameClasses takes the names of a dataset's classes where the model has none and its labels are the dataset's.
func (e *Evaluation) nameClasses() {
	labeled, ok := e.images.(model.Labeled)
	if !ok || e.Answers.Classes != nil || e.Answers.Labels == nil {
		return
	}
	names, labels := model.ClassesOf(e.images), labeled.Labels()
	if len(names) != e.classes || !slices.Equal(labels[:min(len(labels), e.Answers.Len())], e.Answers.Labels) {
		return
	}
	named := *e.Answers
	named.Classes = names
	e.Answers, e.known = &named, &named
}

// keepNumbers finds the answers that are numbers.
func (e *Evaluation) keepNumbers() error {
	a := e.Answers
	for i := range a.Len() {
		e.at = append(e.at, i)
	}
	if _, err := a.Logits(); err != nil {
		return nil // what is not computed from logits here was checked where it came from
	}
	probabilities, err := a.Probabilities()
	if err != nil {
		return err
	}
	k := a.NumClasses()
	e.at = e.at[:0]
	if err := tensors.ConstFlatData(probabilities, func(flat []float32) {
		for i := range a.Len() {
			if !slices.ContainsFunc(flat[i*k:(i+1)*k], func(p float32) bool { return p != p }) {
				e.at = append(e.at, i)
			}
		}
	}); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	switch len(e.at) {
	case a.Len():
		return nil
	case 0:
		return fmt.Errorf(
			"evaluate: what %s says of each of the %d images is not a number: its training has failed, or it overflows",
			a.Model, a.Len())
	}
	e.known, err = a.Subset(e.at)
	return err
}

// LeftOut are the numbers of the images of which the network says what is not a number; nil if there are none.
func (e *Evaluation) LeftOut() []int {
	if e.there() != nil {
		return nil
	}
	var left []int
	next := 0
	for i := range e.Answers.Len() {
		if next < len(e.at) && e.at[next] == i {
			next++
			continue
		}
		left = append(left, i)
	}
	return left
}

func (e *Evaluation) withLabels() (*labeled, error) {
	var which, at []int
	for i, label := range e.known.Labels {
		if label >= 0 {
			which, at = append(which, i), append(at, e.at[i])
		}
	}
	if len(which) == 0 {
		return nil, fmt.Errorf("none of the %d images has a label", e.known.Len())
	}
	l := &labeled{Answers: e.known, classes: e.classes, at: at}
	var err error
	if len(which) < e.known.Len() {
		if l.Answers, err = e.known.Subset(which); err != nil {
			return nil, err
		}
	}
	l.predicted, err = l.Predicted()
	return l, err
}

// there is an error for an evaluation that was not made by Of or FromAnswers.
func (e *Evaluation) there() error {
	if e == nil || e.known == nil {
		return errors.New("evaluate: this evaluation is empty: Of and FromAnswers make one")
	}
	return nil
}

// needLabels are the labelled answers; what says what is asked for.
func (e *Evaluation) needLabels(what string) (*labeled, error) {
	if err := e.there(); err != nil {
		return nil, err
	}
	l, err := e.onlyLabeled()
	if err != nil {
		return nil, fmt.Errorf("evaluate: %s of %s: %w: Answers and Unlike can be asked without labels", what, e.Title, err)
	}
	return l, nil
}

// correct counts the images whose label is predicted, by the label.
func (l *labeled) correct() (right, of map[int]int) {
	right, of = map[int]int{}, map[int]int{}
	for i, label := range l.Labels {
		of[label]++
		if l.predicted[i] == label {
			right[label]++
		}
	}
	return right, of
}

// Class is the number of a class by its name; it is an error where none or several have it.
func (e *Evaluation) Class(name string) (int, error) {
	if err := e.there(); err != nil {
		return 0, err
	}
	var found []int
	for i, class := range e.Answers.Classes {
		if class == name {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, fmt.Errorf("evaluate: %s has no class %q%s", e.Answers.Model, name,
			nearest.DidYouMean(name, e.Answers.Classes))
	}
	return 0, fmt.Errorf("evaluate: %s calls the classes %v %q: say which by its number", e.Answers.Model, found, name)
}

// notes are the sentences that belong to all that is said: of how many images it is, and which are left out.
func (e *Evaluation) notes() []string {
	var notes []string
	if n := e.Answers.Len(); n < e.Asked {
		notes = append(notes, fmt.Sprintf("Interrupted: this is of the first %d of %d images.", n, e.Asked))
	}
	if left := e.LeftOut(); len(left) > 0 {
		names := make([]string, 0, mostNamed)
		for _, i := range left[:min(len(left), mostNamed)] {
			name := fmt.Sprintf("image %d", i)
			if e.Answers.Names != nil {
				name = e.Answers.Names[i]
			}
			names = append(names, name)
		}
		if len(left) > mostNamed {
			names = append(names, "…")
		}
		notes = append(notes, fmt.Sprintf("%d of %d images are left out: what %s says of them is not a number (%s).",
			len(left), e.Answers.Len(), e.Answers.Model, strings.Join(names, ", ")))
	}
	if n := e.known.Len(); e.known.Labels != nil {
		if l, err := e.onlyLabeled(); err == nil && l.Len() < n {
			notes = append(notes, fmt.Sprintf("%d of %d images have no label: they do not count where labels are needed.",
				n-l.Len(), n))
		}
	}
	return notes
}

// How much a summary names.
const (
	mostNamed = 3 // images
	mostWorst = 5 // classes, and pairs of classes
)

// asks is what an evaluation can be asked, as its summary says it.
const asks = "Accuracy() PerClass() Confusion() ROC() PrecisionRecall() Calibration() Mistakes(20) LabelIssues() " +
	"Unlike(20)"

// summary are the figures of the summary under their title, the accuracy if it can be told, and in sentences what
// cannot.
func (e *Evaluation) summary() (title string, figures []figure, accuracy *Accuracy, unsaid []string) {
	title = fmt.Sprintf("%s: %s", e.Title, plural.Of(e.Answers.Len(), "image"))
	accuracy, err := e.Accuracy()
	if err == nil {
		title += fmt.Sprintf(", %d with a label", accuracy.Top1.Total)
		figures = accuracy.figures()
	} else {
		unsaid = append(unsaid, sentence(err))
	}
	calibration, err := e.Calibration()
	if err == nil {
		figures = append(figures, calibration.figures()...)
	} else {
		if accuracy != nil { // else for the same reason
			unsaid = append(unsaid, sentence(err))
		}
		if confidence, err := e.known.Confidence(); err == nil {
			figures = append(figures, figure{"mean confidence", plain(stat.Mean(confidence, nil)), len(confidence)})
		}
	}
	return fmt.Sprintf("%s, %s", title, plural.Of(e.classes, "class")), figures, accuracy, unsaid
}

// Table has a row for each figure of the summary with, where it is known, its 95% interval, and of how many images it
// is. What cannot be told has no row.
func (e *Evaluation) Table() (table.Table, error) {
	if err := e.there(); err != nil {
		return table.Table{}, err
	}
	title, figures, _, _ := e.summary()
	return figureTable(title, figures), nil
}

// Bundle shows the summary: the accuracy and the calibration, the worst classes, the pairs of classes that are confused
// most, and what can be asked next.
func (e *Evaluation) Bundle() mime.Bundle {
	if err := e.there(); err != nil {
		return mime.TextOf(sentence(err))
	}
	title, figures, accuracy, unsaid := e.summary()
	parts := []mime.Bundle{figureTable(title, figures).Bundle()}
	if accuracy != nil && accuracy.Top1.Correct < accuracy.Top1.Total {
		if classes, err := e.PerClass(); err == nil {
			parts = append(parts, classes.worst(mostWorst).Bundle())
		}
		if confusion, err := e.Confusion(); err == nil {
			parts = append(parts, confusion.most(mostWorst).Bundle())
		}
	}
	lines := append(append(e.notes(), unsaid...), "Next: "+asks)
	return display.Stack(append(parts, mime.TextOf(strings.Join(lines, "\n")))...)
}

// sentence is an error as a line of a summary.
func sentence(err error) string { return strings.TrimPrefix(err.Error(), "evaluate: ") + "." }

// String is the summary in a line.
func (e *Evaluation) String() string {
	if err := e.there(); err != nil {
		return sentence(err)
	}
	text := fmt.Sprintf("%s: %s", e.Title, plural.Of(e.Answers.Len(), "image"))
	if accuracy, err := e.Accuracy(); err == nil {
		text += ", accuracy " + accuracy.Top1.String()
	}
	return text
}

// Arrays are those of the answers, so that [model.ReadAnswers] reads what was saved, and [FromAnswers] evaluates it.
func (e *Evaluation) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if err := e.there(); err != nil {
		return nil, nil, err
	}
	return e.Answers.Arrays()
}
