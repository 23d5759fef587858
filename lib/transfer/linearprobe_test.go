package transfer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
)

// What is set aside to choose λ by is a part of each class of the training images, and the result is that of
// FixedFeatures on the task.
func TestFixed(t *testing.T) {
	ds := images(t, "mnist")
	train, test := ds.Take(300), ds.Skip(300).Take(200)
	f := LinearProbe{Regression: learn.LogisticRegression{Iterations: 100}, Lambdas: []float64{1, 100}, Seed: 3}
	task, err := f.Task(train, test)
	if err != nil {
		t.Fatal(err)
	}
	all := append(task.Train.Labels(), task.Validation.Labels()...)
	slices.Sort(all)
	if want := train.Labels(); !slices.Equal(all, slices.Sorted(slices.Values(want))) || task.Classes != 10 ||
		task.Test.Len() != 200 {
		t.Errorf("%v has other images than its dataset", task)
	}
	for class := range 10 {
		fit, choose := 0, 0
		for _, label := range task.Train.Labels() {
			if label == class {
				fit++
			}
		}
		for _, label := range task.Validation.Labels() {
			if label == class {
				choose++
			}
		}
		if share := float64(choose) / float64(fit+choose); share < 0.3 || share > 0.37 {
			t.Errorf("λ is chosen by %d of %d images of class %d", choose, fit+choose, class)
		}
	}
	m := network(t, 1)
	want, err := FixedFeatures(m, task, f.Regression, f.Lambdas)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Of(m, train, test)
	if err != nil || got.Accuracy != want.Accuracy || got.Lambda != want.Lambda {
		t.Errorf("%+v, want %+v: %v", got, want, err)
	}
	other := task
	other.Name = "the other"
	both, err := f.On(m, task, other)
	if err != nil || len(both) != 2 || both[1].Accuracy != want.Accuracy || both[1].Task != "the other" {
		t.Errorf("on two tasks: %v, %v", both, err)
	}
	named := Named("another", both...)
	if named[0].Model != "another" || named[1].Accuracy != want.Accuracy || both[0].Model != m.Name() {
		t.Errorf("by another name: %+v of %+v", named[0], both[0])
	}
	for questions := 0; ; questions++ {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		done, err := f.On(m, task, other)
		release()
		if err == nil {
			t.Fatal("no interrupt leaves one of two tasks")
		}
		if !errors.Is(err, context.Canceled) || len(done) > 1 {
			t.Fatalf("%d results, %v", len(done), err)
		}
		if len(done) == 1 {
			if !strings.Contains(err.Error(), "1 of 2 tasks") {
				t.Errorf("%v", err)
			}
			break
		}
	}
	for want, ask := range map[string]func() error{
		"a dataset is nil":     func() error { _, err := f.Task(train, nil); return err },
		"between 0 and 1":      func() error { _, err := LinearProbe{Choose: 1.5}.Task(train, test); return err },
		"no model or no task":  func() error { _, err := f.On(m); return err },
		"has no training imag": func() error { _, err := f.Of(m, train.Take(0), test); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Digits are no garments, although their names are numbers, which stand for classes of any network.
func TestOtherClassesAreNotTransferredTo(t *testing.T) {
	digits := images(t, "mnist").Take(100)
	garments := make([]string, 10)
	for i := range garments {
		garments[i] = "garment " + string(rune('a'+i))
	}
	named, err := digits.WithClasses(garments)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (LinearProbe{}).Task(named, digits); err == nil || !strings.Contains(err.Error(), `has the class "0"`) {
		t.Errorf("digits as garments: %v", err)
	}
	if _, err := (LinearProbe{}).Task(digits, named); err == nil ||
		!strings.Contains(err.Error(), `has the class "garment a"`) {
		t.Errorf("garments as digits: %v", err)
	}
	if _, err := (LinearProbe{}).Task(named, named); err != nil {
		t.Error(err)
	}
}
