package evaluate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/ood"
	"github.com/loupeml/loupe/lib/table"
)

// Unlike are the k images that look least like what the model was trained on, the least first; of equal ones the first.
// by is a score of package ood, at most one; without one it is the max logit (Hendrycks et al., ICML 2022), which needs
// no images that the model was trained on, and of a network with one output the highest probability: where there are
// such images, [Evaluation.UnlikeTraining] compares with them. Labels are not needed. It is an error where classes do
// not exclude each other, and where only predicted classes are known.
func (e *Evaluation) Unlike(k int, by ...ood.Score) (*Images, error) {
	if err := checkCount("images", k); err != nil {
		return nil, err
	}
	if err := e.there(); err != nil {
		return nil, err
	}
	var score ood.Score = ood.MaxLogit{}
	switch {
	case len(by) > 1:
		return nil, fmt.Errorf("evaluate: %d scores: images are put in order by one", len(by))
	case len(by) == 1:
		score = by[0]
	case e.known.Activation == model.Sigmoid:
		score = ood.MaxSoftmax{}
	}
	scores, err := ood.OfAnswers(score, e.known)
	if err != nil {
		return nil, fmt.Errorf("evaluate: images unlike those that %s was trained on: %w", e.known.Model, err)
	}
	return e.least(k, scores, score.Name())
}

// UnlikeTraining are the k images that look least like those of a dataset, which is to be the one that the model was
// trained on, or others like it: by the distance of the network's features from those of a near one of these images,
// [ood.FitKNN] (Sun et al., ICML 2022). Which neighbour counts goes with their number: the 50th of 50,000, which is the
// paper's for CIFAR-10, and of fewer than 2,000 the nearest. Labels are not needed. [Evaluation.UnlikeBy] takes other
// detectors.
//
// It asks the model for the features of both datasets, a pass through each. Images of another size are prepared for the
// model. It is an error where the model names no features, and where the evaluation is of answers that were given, so
// that there is no model to ask.
func (e *Evaluation) UnlikeTraining(k int, training model.Dataset) (*Images, error) {
	if err := e.asked("features"); err != nil {
		return nil, err
	}
	if err := model.CheckDataset(training); err != nil {
		return nil, fmt.Errorf("evaluate: images unlike those that %s was trained on: %w", e.known.Model, err)
	}
	if opened, ok := training.(*data.Dataset); ok {
		prepared, err := e.m.Prepared(opened)
		if err != nil {
			return nil, err
		}
		training = prepared
	}
	const share = 50_000 / 50 // of CIFAR-10 the paper takes the 50th
	by, err := ood.FitKNN(e.m, training, max(1, training.Len()/share))
	if err != nil {
		return nil, fmt.Errorf("evaluate: images unlike those that %s was trained on: %w", e.known.Model, err)
	}
	found, err := e.UnlikeBy(k, by)
	if err != nil {
		return nil, err
	}
	// Distances of the same features are 0 but for rounding.
	const same = 1e-6
	among := 0
	for _, distance := range found.scores {
		if distance <= same {
			among++
		}
	}
	if among > 0 {
		found.Note = fmt.Sprintf(
			"%d of %s have the features of an image that they are compared with: are they among those that were trained on? %s",
			among, plural.Of(len(found.scores), "image"), found.Note)
	}
	return found, nil
}

// UnlikeBy are the k images that have the highest scores of a detector, such as those of [ood.FitMahalanobis],
// [ood.FitViM], [ood.FitReAct] or [ood.ODIN]. It shows the images to the detector's model once more.
func (e *Evaluation) UnlikeBy(k int, by ood.Detector) (*Images, error) {
	if err := checkCount("images", k); err != nil {
		return nil, err
	}
	if err := e.asked("a detector's scores"); err != nil {
		return nil, err
	}
	if table.IsNil(by) {
		return nil, errors.New("evaluate: there is no detector: it is nil")
	}
	scores, err := by.Scores(chosen{e.images, e.at})
	if err != nil {
		return nil, fmt.Errorf("evaluate: images unlike others, by %s: %w", by.Name(), err)
	}
	if len(scores) != len(e.at) {
		return nil, fmt.Errorf("evaluate: %s has %d scores for %d images", by.Name(), len(scores), len(e.at))
	}
	found, err := e.least(k, scores, by.Name())
	if err != nil {
		return nil, err
	}
	found.scores = scores
	return found, nil
}

// asked returns an error unless there is a model that can be asked about the images.
func (e *Evaluation) asked(about string) error {
	if err := e.there(); err != nil {
		return err
	}
	if e.m == nil || e.images == nil {
		return fmt.Errorf("evaluate: there is no model to ask for %s: Of keeps the one that it asks", about)
	}
	return nil
}

// chosen are some images of a dataset.
type chosen struct {
	model.Dataset
	at []int
}

func (c chosen) Len() int { return len(c.at) }

func (c chosen) Images(indices ...int) (*tensors.Tensor, error) {
	return c.Dataset.Images(places(c.at, indices)...)
}

// least are the k images of the highest scores, of all that are known.
func (e *Evaluation) least(k int, scores []float64, name string) (*Images, error) {
	predicted, err := e.known.Predicted()
	if err != nil {
		return nil, err
	}
	order := make([]int, len(scores)) // by place among the known
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	order = order[:min(k, len(order))]
	p := e.pick(fmt.Sprintf("%s: most unlike what it was trained on, by %s", e.Title, name), places(e.at, order))
	p.Note = "These are the images of the highest score, whether any is unlike or none: ood.Detect says how well a " +
		"score tells known images from unknown ones."
	label := func(i int) string {
		if e.known.Labels == nil || e.known.Labels[order[i]] < 0 {
			return ""
		}
		return e.known.ClassName(e.known.Labels[order[i]])
	}
	if e.known.Labels != nil {
		p.columns = append(p.columns, table.Column{Name: "label", At: func(i int) any { return label(i) }})
	}
	p.columns = append(p.columns,
		table.Column{Name: "predicted", At: func(i int) any { return e.known.ClassName(predicted[order[i]]) }},
		table.Column{Name: name, At: func(i int) any { return scores[order[i]] }})
	for i := range order {
		caption := fmt.Sprintf("%s\n%s %.3g", e.known.ClassName(predicted[order[i]]), name, scores[order[i]])
		if label(i) != "" {
			caption += "\nlabel " + label(i)
		}
		p.captions = append(p.captions, caption)
	}
	return p, nil
}
