package report

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/evaluate"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// run is a report in the making.
type run struct {
	m      *model.Model
	photos *data.Dataset // those that are looked at, of the network's size
	opened *data.Dataset // the same as they were opened; nil if they are not at hand
	// training are images that the network was trained on, of its size; nil if they are not at hand.
	training *data.Dataset
	seed     uint64
	report   *Report

	stop     context.Context // ends when the person says so
	started  time.Time
	deadline time.Time

	// e is what the network says of the photos; nil if it cannot be asked, and refused is why.
	e       *evaluate.Evaluation
	refused error
	// left are the numbers of the images of which it says what is not a number.
	left map[int]bool
	// calibrated is what [run.calibration] has measured; nil if nobody has asked.
	calibrated *evaluate.Calibration
	// tooSure says that the network is shown to be surer than it is right.
	tooSure bool
	// labelsRefused is why labels were not taken.
	labelsRefused error
	// pass is how long one image takes to go through the network once.
	pass time.Duration
}

func begin(m *model.Model, photos *data.Dataset, o Options) *run {
	r := &run{
		m: m, photos: photos, opened: o.Opened, seed: o.Seed, stop: interrupt.Context(), started: time.Now(),
		report: &Report{Model: m.Name(), Data: photos.Title(), Images: photos.Len(), Asked: photos.Len(), Begin: o.Begin,
			Budget: o.Budget},
	}
	r.deadline = r.started.Add(o.Budget)
	if o.Opened != nil {
		for _, note := range o.Opened.Notes() {
			r.note("Of the images: " + note + ".")
		}
		if skipped := o.Opened.Skipped(); len(skipped) > 0 {
			r.note(fmt.Sprintf("%s could not be read and %s left out: %s.", plural.Grouped(len(skipped), "file"),
				plural.Is(len(skipped)), some(skipped)))
		}
	}
	if assumed := m.Assumptions(); assumed != "" {
		r.note("Of the network: " + assumed + ".")
	}
	return r
}

// some are the first of many names.
func some(names []string) string {
	const most = 5
	text := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		text += ", …"
	}
	return text
}

func (r *run) note(notes ...string) { r.report.Notes = append(r.report.Notes, notes...) }

// begins adds a line to what comes before the cells.
func (r *run) begins(line string) {
	if r.report.Begin != "" {
		line = r.report.Begin + "\n" + line
	}
	r.report.Begin = line
}

// unlabeled are images without what their labels are said to be.
type unlabeled struct{ *data.Dataset }

// Labels are unknown.
func (u unlabeled) Labels() []int { return slices.Repeat([]int{-1}, u.Len()) }

// Label is unknown.
func (unlabeled) Label(int) int { return -1 }

// Classes are none.
func (unlabeled) Classes() []string { return nil }

// forAnswers is the part of the time that the pass over all images may take.
const forAnswers = 0.35

// ask is the one pass of all images through the network, or of as many as there is time for.
func (r *run) ask() {
	defer func() {
		if p := recover(); p != nil {
			r.e, r.refused = nil, fmt.Errorf("the network cannot be asked about these images: %v", p)
		}
	}()
	if err := r.choose(); err != nil {
		r.refused = err
		return
	}
	ds := model.Dataset(r.photos)
	if _, err := r.m.LabelsOf(r.photos); err != nil {
		r.labelsRefused = err
		ds = unlabeled{r.photos}
		r.note("The labels are not taken: " + sentence(err))
	}
	e, err := evaluate.Of(r.m, ds)
	if e == nil {
		if err != nil && r.stop.Err() != nil {
			err = errors.New("it was stopped before the network had said anything")
		}
		r.refused = err
		return
	}
	r.e = e
	n := e.Answers.Len()
	if r.pass == 0 && r.stop.Err() == nil {
		if err := r.time(0, min(n, r.m.ChunkSize(n))); err != nil && r.stop.Err() == nil {
			r.e, r.refused = nil, err
			return
		}
	}
	r.report.Images = n
	r.left = map[int]bool{}
	for _, i := range e.LeftOut() {
		r.left[i] = true
	}
	if k := e.Answers.NumClasses(); k > 0 {
		r.report.Classes = max(k, 2)
	}
	for _, label := range e.Answers.Labels {
		if label >= 0 {
			r.report.Labeled++
		}
	}
	if n < e.Asked {
		r.begins(fmt.Sprintf("photos = photos.Take(%d)", n))
		r.note(fmt.Sprintf("Stopped early: the network was asked about the first %s of %s images, which in a folder in "+
			"order are those of the first classes.", plural.Thousands(n), plural.Thousands(e.Asked)))
	}
	if left := len(r.left); left > 0 {
		r.note(fmt.Sprintf("What the network says of %s is not a number; %s left out.", plural.Grouped(left, "image"),
			plural.Is(left)))
	}
}

// choose takes some of the images, drawn by the seed, where all would take too long.
func (r *run) choose() error {
	n := r.photos.Len()
	size := r.m.ChunkSize(n)
	if n <= 8*size {
		return nil
	}
	for probe := range 2 { // the first is for compiling
		if err := r.time(probe*size, size); err != nil {
			return err
		}
	}
	most := int(forAnswers * float64(r.report.Budget) / float64(r.pass))
	if most >= n {
		return nil
	}
	most = max(most, size)
	r.photos = r.photos.Shuffle(r.seed).Take(most)
	if r.opened != nil {
		r.opened = r.opened.Shuffle(r.seed).Take(most)
	}
	r.begins(fmt.Sprintf("photos = photos.Shuffle(%d).Take(%d)", r.seed, most))
	r.note(fmt.Sprintf("There are %s images. To keep to the time, %s of them are looked at, drawn by chance.",
		plural.Thousands(n), plural.Thousands(most)))
	return nil
}

// time measures how long an image takes to go through the network, by some of them from the first on.
func (r *run) time(first, n int) error {
	part := make([]int, n)
	for i := range part {
		part[i] = first + i
	}
	began := time.Now()
	out, err := r.m.OutputOf(r.photos.Subset(part))
	model.Free(out)
	if r.stop.Err() != nil {
		return errors.New("it was stopped before the network had said anything")
	}
	r.pass = max(time.Since(began)/time.Duration(n), time.Microsecond)
	return err
}

// stoppable is a context with a deadline that asks the person's own as well, at each question.
type stoppable struct {
	context.Context
	by context.Context
}

// Err is the person's Stop, or else that the time is over.
func (s stoppable) Err() error {
	if err := s.by.Err(); err != nil {
		return err
	}
	return s.Context.Err()
}

// make makes one check.
func (r *run) make(c check) {
	if !c.answers && r.stop.Err() != nil {
		r.leaveOut(c.name, "It was stopped before this began.")
		return
	}
	base, until := r.stop, r.deadline
	if c.answers {
		base, until = context.WithoutCancel(r.stop), time.Now().Add(time.Hour)
	}
	timed, cancel := context.WithDeadline(base, until)
	defer cancel()
	ctx := stoppable{timed, base}
	findings, nothing := len(r.report.Findings), len(r.report.Nothing)
	err := func() (err error) {
		defer interrupt.Use(ctx)()
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("it failed: %v", p)
			}
		}()
		return c.do(r)
	}()
	for i := findings; i < len(r.report.Findings); i++ {
		r.report.Findings[i].Check = c.name
	}
	for i := nothing; i < len(r.report.Nothing); i++ {
		r.report.Nothing[i].Check = c.name
	}
	switch {
	case err == nil:
	case r.stop.Err() != nil && !c.answers:
		r.leaveOut(c.name, "It was stopped before this was done.")
	case ctx.Err() != nil:
		r.leaveOut(c.name, fmt.Sprintf("The time of %v was over before this was done.", r.report.Budget))
	default:
		r.leaveOut(c.name, sentence(err))
	}
}

func (r *run) leaveOut(name, why string) {
	r.report.LeftOut = append(r.report.LeftOut, LeftOut{name, why})
}

// found takes down a finding.
func (r *run) found(f Finding) { r.report.Findings = append(r.report.Findings, f) }

// nothing takes down what was looked for and not found.
func (r *run) nothing(f Finding) {
	f.Weight = 0
	r.report.Nothing = append(r.report.Nothing, f)
}

// measure takes down a measure. It is an error of this package to measure what [MeasureNames] does not have.
func (r *run) measure(name string, value, low, high float64) {
	for _, m := range measures {
		if m.name == name {
			r.report.Measures = append(r.report.Measures, Measure{name, value, low, high, m.what})
			return
		}
	}
	panic("no measure is called " + name)
}

// needAnswers is an error where the network has said nothing.
func (r *run) needAnswers() error {
	if r.e == nil {
		return r.refused
	}
	return nil
}

// needLabels is an error where no label is known.
func (r *run) needLabels() error {
	switch {
	case r.e == nil:
		return r.refused
	case r.labelsRefused != nil:
		return fmt.Errorf("the labels do not meet the network's classes")
	case r.report.Labeled == 0:
		return errors.New("the images have no labels")
	}
	return nil
}

// afford is how many images, up to most, can go through the network so many times within a part of the time that is
// left. It is an error where fewer than least can.
func (r *run) afford(passes, part float64, least, most int) (int, error) {
	most = min(most, r.photos.Len())
	if r.e != nil {
		most = min(most, r.e.Answers.Len())
	}
	if most < least {
		return 0, fmt.Errorf("it takes %s, and there %s %s", plural.Grouped(least, "image"), plural.Is(most),
			plural.Grouped(most, "image"))
	}
	return r.affordOf(passes, part, least, most)
}

// affordOf is [run.afford] of other images than those that are looked at.
func (r *run) affordOf(passes, part float64, least, most int) (int, error) {
	left := time.Until(r.deadline)
	n := int(part * float64(left) / (passes * float64(max(r.pass, time.Microsecond))))
	if n >= least {
		return min(n, most), nil
	}
	takes := time.Duration(float64(least) * passes * float64(r.pass)).Round(time.Second)
	return 0, fmt.Errorf("out of time: it takes about %v, and of the %v there are %v left, of which it may take %.0f%%",
		max(takes, time.Second), r.report.Budget, max(left, 0).Round(time.Second), 100*part)
}

// sample is so many of the images, drawn by chance, and the Go that draws the same ones.
func (r *run) sample(n int) (ds *data.Dataset, code string) {
	if n >= r.photos.Len() {
		return r.photos, "photos"
	}
	return r.photos.Shuffle(r.seed + 1).Take(n), fmt.Sprintf("photos.Shuffle(%d).Take(%d)", r.seed+1, n)
}

// subset is the Go that picks images by their numbers.
func subset(index []int) string {
	text := strings.Trim(strings.ReplaceAll(fmt.Sprint(index), " ", ", "), "[]")
	return "photos.Subset([]int{" + text + "})"
}

// evaluation is the Go that asks the network about the images.
func (r *run) evaluation() string {
	if r.labelsRefused != nil { // a tensor has no labels that could be refused
		return "loupe.Evaluate(net, loupe.Images(net, photos))"
	}
	return "loupe.Evaluate(net, photos)"
}

// answered are the labels, the predictions and the images' numbers of the answers that are numbers and have a label.
func (r *run) answered() (labels, predicted, at []int, err error) {
	if err := r.needLabels(); err != nil {
		return nil, nil, nil, err
	}
	all, err := r.e.Answers.Predicted()
	if err != nil {
		return nil, nil, nil, err
	}
	for i, label := range r.e.Answers.Labels {
		if label >= 0 && !r.left[i] {
			labels, predicted, at = append(labels, label), append(predicted, all[i]), append(at, i)
		}
	}
	if len(labels) == 0 {
		return nil, nil, nil, errors.New("of no image with a label has the network said a number")
	}
	return labels, predicted, at, nil
}

// calibration is how far confidence and accuracy agree: it is measured once.
func (r *run) calibration() (*evaluate.Calibration, error) {
	if err := r.needLabels(); err != nil {
		return nil, err
	}
	if r.calibrated == nil {
		c, err := r.e.Calibration()
		if err != nil {
			return nil, err
		}
		r.calibrated = c
	}
	return r.calibrated, nil
}

// pictures are those of images by their numbers, with a caption each.
func (r *run) pictures(ds model.Dataset, index []int, caption func(k, i int) []string) ([]Picture, error) {
	if len(index) == 0 {
		return nil, nil
	}
	images, err := ds.Images(index...)
	if err != nil {
		return nil, err
	}
	defer model.Free(images)
	return r.drawn(images, func(k int) []string { return caption(k, index[k]) })
}

// drawn are the pictures of a tensor.
func (r *run) drawn(images *tensors.Tensor, caption func(k int) []string) ([]Picture, error) {
	drawn, err := display.Images(images)
	if err != nil {
		return nil, err
	}
	pictures := make([]Picture, len(drawn))
	for k, img := range drawn {
		pictures[k] = Picture{img, caption(k)}
	}
	return pictures, nil
}

// file is the name of an image without its folders; "" if it has none.
func (r *run) file(i int) string { return fileOf(r.photos, i) }

func fileOf(ds *data.Dataset, i int) string {
	name := ds.Name(i)
	return name[strings.LastIndexByte(name, '/')+1:]
}

var nan = math.NaN()
