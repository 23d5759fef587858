// Package transfer asks how much of what a network has learnt is of use for other images.
//
// Kornblith, Shlens and Le, "Do Better ImageNet Models Transfer Better?", CVPR 2019.
package transfer

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/stats"
)

// Task is labelled images that a network was not trained for.
type Task struct {
	Name    string
	Classes int
	// Train is fitted to, Validation chooses the penalty, Test measures; no image belongs to two of them. Where they
	// have names for their classes, these meet by name: Train's numbers count.
	Train, Validation, Test model.Labeled
}

func (t Task) String() string {
	size := func(ds model.Labeled) int {
		if model.CheckDataset(ds) != nil {
			return 0
		}
		return ds.Len()
	}
	return fmt.Sprintf("%s: %d classes; %d images to train with, %d to choose by, %d to test on", t.Name, t.Classes,
		size(t.Train), size(t.Validation), size(t.Test))
}

// Bundle shows how large the task is.
func (t Task) Bundle() mime.Bundle { return mime.TextOf(t.String()) }

// Result is how well the features of a network do on a task.
type Result struct {
	Model string `display:"model"`
	Task  string `display:"task"`
	// Accuracy is of the test images.
	Accuracy stats.Accuracy `display:"accuracy"`
	// PerClass is the mean over the classes of the accuracy on each, which is what counts where classes differ in size.
	PerClass float64 `display:"mean over classes,percent"`
	// Lambda is the penalty that was chosen, and Choice how well each did on the validation images.
	Lambda float64             `display:"λ"`
	Choice []learn.LambdaScore `display:"-"`
	// Answers are those of the classifier to the test images.
	Answers *model.Answers `display:"-"`
	// Head is the classifier, fitted to the training and the validation images together.
	Head *model.Head `display:"-"`
}

// FixedFeatures trains a linear classifier on a network's features, which stay as they are: a logistic regression by l,
// whose λ is the one of lambdas, nil for learn.Lambdas, that does best on the validation images; the classifier is then
// fitted again to training and validation images together. The images are to have the model's size: see model.Prepare.
// Kornblith et al., section 3 and appendix A.2.
//
// Interrupted, it returns nil and the error.
func FixedFeatures(m *model.Model, t Task, l learn.LogisticRegression, lambdas []float64) (*Result, error) {
	const steps = 5
	bar := progress.New(m.Name()+" on "+t.Name, steps)
	defer bar.Close()
	step := 0
	next := func(err error) error {
		if err != nil {
			if err = interrupt.After(err, "transfer: "+m.Name()+" on "+t.Name, step, steps, "steps"); interrupt.Is(err) {
				return err
			}
			return fmt.Errorf("transfer: %s on %s: %w", m.Name(), t.Name, err)
		}
		step++
		bar.Add(1)
		return nil
	}
	var features [3]*tensors.Tensor
	var labels [3][]int
	for i, ds := range []model.Labeled{t.Train, t.Validation, t.Test} {
		if ds == nil || ds.Len() == 0 {
			return nil, fmt.Errorf("transfer: task %q has no %s images", t.Name, []string{"training", "validation", "test"}[i])
		}
		var err error
		if labels[i], err = model.Relabel(ds, model.ClassesOf(t.Train), "the training images of "+t.Name); err != nil {
			return nil, fmt.Errorf("transfer: %w", err)
		}
		for j, label := range labels[i] {
			if label == -1 {
				return nil, fmt.Errorf("transfer: image %d of the %s images of %q has no label: leave such images out with Subset",
					j, []string{"training", "validation", "test"}[i], t.Name)
			}
			if label < 0 || label >= t.Classes {
				return nil, fmt.Errorf("transfer: image %d of the %s images of %q has the label %d: its classes are 0 to %d", j,
					[]string{"training", "validation", "test"}[i], t.Name, label, t.Classes-1)
			}
		}
		f, err := m.FeaturesOf(ds)
		if err := next(err); err != nil {
			return nil, err
		}
		features[i] = f
	}
	r := &Result{Model: m.Name(), Task: t.Name}
	var err error
	r.Choice, err = l.Choose(features[0], labels[0], t.Classes, features[1], labels[1], lambdas)
	if err := next(err); err != nil {
		return nil, err
	}
	r.Lambda = learn.BestLambda(r.Choice).Lambda
	both, err := joined(features[0], features[1])
	if err != nil {
		return nil, err
	}
	l.Lambda = r.Lambda
	fit, err := l.Fit(both, append(labels[0][:len(labels[0]):len(labels[0])], labels[1]...), t.Classes)
	if fit != nil && !interrupt.Is(err) {
		err = nil // with a small λ that does best, fitting on would do worse: it counts as it is
	}
	if err := next(err); err != nil {
		return nil, err
	}
	r.Head = fit.Head
	predicted, err := learn.HeadPredictions(fit.Head, features[2])
	if err != nil {
		return nil, err
	}
	probabilities, err := learn.HeadProbabilities(fit.Head, features[2])
	if err != nil {
		return nil, err
	}
	if r.Answers, err = model.AnswersFromProbabilities(m.Name()+" on "+t.Name, probabilities, labels[2]); err != nil {
		return nil, err
	}
	r.Accuracy, err = stats.AccuracyOf(predicted, labels[2])
	r.PerClass = perClass(predicted, labels[2])
	return r, err
}

// perClass is the mean over the classes that labels has of the accuracy on each.
func perClass(predicted, labels []int) float64 {
	of := map[int]stats.Accuracy{}
	for i, label := range labels {
		one := stats.Accuracy{Total: 1}
		if predicted[i] == label {
			one.Correct = 1
		}
		of[label] = of[label].Add(one)
	}
	var mean float64
	for _, label := range slices.Sorted(maps.Keys(of)) {
		mean += of[label].Share() / float64(len(of))
	}
	return mean
}

// joined is the rows of a and then of b.
func joined(a, b *tensors.Tensor) (*tensors.Tensor, error) {
	one, err := tensors.CopyFlatData[float32](a)
	if err != nil {
		return nil, fmt.Errorf("transfer: %w", err)
	}
	other, err := tensors.CopyFlatData[float32](b)
	if err != nil {
		return nil, fmt.Errorf("transfer: %w", err)
	}
	return tensors.FromFlatDataAndDimensions(append(one, other...), a.Shape().Dimensions[0]+b.Shape().Dimensions[0],
		a.Shape().Dimensions[1]), nil
}

// Predictor answers to images, [N, H, W, C], with a class for each, by the network's features and the classifier that
// was fitted to them: for images that belong to no task, such as those of background.GapOf.
func (r *Result) Predictor(m *model.Model) func(images *tensors.Tensor) ([]int, error) {
	return func(images *tensors.Tensor) ([]int, error) {
		if r == nil || r.Head == nil {
			return nil, fmt.Errorf("transfer: there is no classifier: FixedFeatures fits one")
		}
		features, err := m.Features(images)
		if err != nil {
			return nil, err
		}
		return learn.HeadPredictions(r.Head, features)
	}
}
