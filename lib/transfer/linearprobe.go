package transfer

import (
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// LinearProbe says how [FixedFeatures] are tried where no images are set aside to choose the penalty by. The zero value
// has the settings of Kornblith et al., CVPR 2019, appendix A.2.
type LinearProbe struct {
	Regression learn.LogisticRegression
	Lambdas    []float64 // to choose λ from; nil means learn.Lambdas
	// Choose is the share of each class's training images that λ is chosen by, in 0..1; 0 means a third. The
	// classifier is fitted to all of them once it is chosen.
	Choose float64
	Seed   uint64 // of which images these are
}

// Task is the task of telling the classes of labelled images apart: train is divided into images to fit to and images
// to choose λ by.
func (f LinearProbe) Task(train, test *data.Dataset) (Task, error) {
	if train == nil || test == nil {
		return Task{}, fmt.Errorf("transfer: there are no images to train with or none to test on: a dataset is nil")
	}
	if f.Choose == 0 {
		f.Choose = 1.0 / 3
	}
	if !(f.Choose > 0 && f.Choose < 1) {
		return Task{}, fmt.Errorf("transfer: λ is chosen by %v of the training images: a share is between 0 and 1", f.Choose)
	}
	// A number for a name is a class of any network, and here it would be taken for one of the training images'.
	if of := model.ClassesOf(train); of != nil {
		for _, class := range model.ClassesOf(test) {
			if !slices.Contains(of, class) {
				return Task{}, fmt.Errorf("transfer: %s has the class %q, and %s does not: both are to have the same classes",
					test.Title(), class, train.Title())
			}
		}
	}
	t := Task{Name: train.Title(), Classes: len(model.ClassesOf(train)), Test: test}
	if model.ClassesOf(train) == nil {
		for _, label := range train.Labels() {
			t.Classes = max(t.Classes, label+1)
		}
	}
	choose, fit := train.Split(f.Choose, f.Seed)
	t.Train, t.Validation = fit, choose
	return t, nil
}

// Of trains a linear classifier on a network's features of the training images, and measures it on those of the test:
// [FixedFeatures] of [LinearProbe.Task]. Interrupted, it returns nil and the error.
func (f LinearProbe) Of(m *model.Model, train, test *data.Dataset) (*Result, error) {
	t, err := f.Task(train, test)
	if err != nil {
		return nil, err
	}
	return FixedFeatures(m, t, f.Regression, f.Lambdas)
}

// On tries a network's features on several tasks, each with its own images to choose λ by: [FixedFeatures] of each.
// Interrupted, it returns the results of the tasks that are done beside the error.
func (f LinearProbe) On(m *model.Model, tasks ...Task) ([]*Result, error) {
	if m == nil || len(tasks) == 0 {
		return nil, fmt.Errorf("transfer: there is no model or no task to try its features on")
	}
	var done []*Result
	for i, t := range tasks {
		r, err := FixedFeatures(m, t, f.Regression, f.Lambdas)
		if err != nil {
			return done, interrupt.After(err, "transfer: "+m.Name(), i, len(tasks), "tasks")
		}
		done = append(done, r)
	}
	return done, nil
}

// Named are the same results of a network by another name, for [Compare]: such as those of the weights that a network
// started from, which stand for all that became of it.
func Named(name string, results ...*Result) []*Result {
	named := make([]*Result, len(results))
	for i, r := range results {
		if r != nil {
			other := *r
			other.Model = name
			named[i] = &other
		}
	}
	return named
}
