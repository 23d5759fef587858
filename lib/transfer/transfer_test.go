package transfer

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

func network(t *testing.T, seed uint64, widths ...int) *model.Model {
	t.Helper()
	m, err := learn.SmallCNN(model.Spec{Name: "random", Height: 28, Width: 28, Channels: 1}, 10, seed, widths...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func images(t *testing.T, name string) *data.Dataset {
	t.Helper()
	testenv.Asset(t, name)
	ds, err := data.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return ds.Shuffle(1)
}

// Even random features of digits tell digits apart, and a penalty between the extremes does best.
func TestFixedFeaturesOfDigits(t *testing.T) {
	ds := images(t, "mnist")
	at := func(lo, n int) *data.Dataset {
		index := make([]int, n)
		for i := range index {
			index[i] = lo + i
		}
		return ds.Subset(index)
	}
	task := Task{Name: "digits", Classes: 10, Train: at(0, 600), Validation: at(600, 300), Test: at(900, 1000)}
	r, err := FixedFeatures(network(t, 1), task, learn.LogisticRegression{Iterations: 200}, []float64{1e-4, 1, 1e5})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Choice) != 3 || r.Choice[0].Lambda != 1e5 || r.Choice[0].Accuracy.Share() > r.Choice[1].Accuracy.Share()-0.1 {
		t.Errorf("the choices are %+v: the largest λ comes first and leaves little", r.Choice)
	}
	if own, err := r.Answers.Accuracy(); err != nil || own != r.Accuracy || r.Accuracy.Total != 1000 ||
		r.Accuracy.Share() < 0.75 || !approx.Equal(r.PerClass, r.Accuracy.Share(), 0.03) {
		t.Errorf("the result is %+v", r)
	}
	release := interrupt.Use(testenv.CancelledAfter(2))
	defer release()
	var stopped *interrupt.Stopped
	if r, err := FixedFeatures(network(t, 1), task, learn.LogisticRegression{}, nil); r != nil ||
		!errors.As(err, &stopped) || stopped.Work != "transfer: random on digits" {
		t.Errorf("interrupted, it returns %v and %v", r, err)
	}
}

func TestComparisonWeighsTasksAlike(t *testing.T) {
	// Four models whose logits rise evenly on both tasks, the second of which is nearly solved.
	sigmoid := func(z float64) stats.Accuracy {
		const images = 1e15
		return stats.Accuracy{Correct: int(math.Round(images / (1 + math.Exp(-z)))), Total: images}
	}
	var results []*Result
	source := map[string]stats.Accuracy{}
	for m, name := range []string{"a", "b", "c", "d"} {
		z := float64(m)
		source[name] = sigmoid(z - 1)
		results = append(results,
			&Result{Model: name, Task: "hard", Accuracy: sigmoid(z - 3)},
			&Result{Model: name, Task: "easy", Accuracy: sigmoid(z + 3)})
	}
	c, err := Compare(results, source)
	if err != nil {
		t.Fatal(err)
	}
	for m, want := range []float64{-1.5, -0.5, 0.5, 1.5} {
		if !approx.Equal(c.Transfer[m], want, 1e-9) {
			t.Errorf("the transfer of %s is %v, want %v", c.Models[m], c.Transfer[m], want)
		}
	}
	if !(c.R >= 1-1e-9) || !(c.PerTask[1] >= 1-1e-9) || len(c.PerTaskIntervals) != len(c.Tasks) {
		t.Errorf("the correlation is %v, of the tasks %v (%v)", c.R, c.PerTask, c.PerTaskIntervals)
	}
	if table := c.Bundle().Data[mime.Text]; !strings.Contains(table, "1.5") || !strings.Contains(table, "1 (") {
		t.Errorf("the table says\n%s", table)
	}
	if _, err := c.Plot().Image(); err != nil {
		t.Error(err)
	}
	fails := func(want string, results []*Result, source map[string]stats.Accuracy) {
		t.Helper()
		if _, err := Compare(results, source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
	}
	fails("no result of d on easy", results[:7], source)
	fails("takes four", results[:6], source)
	fails("two results of a on hard", append(results, results[0]), source)
	fails(`the accuracy of "a"`, results, nil)
}

func TestTasksThatCannotBe(t *testing.T) {
	pixels := tensors.FromFlatDataAndDimensions(make([]float32, 2*28*28), 2, 28, 28, 1)
	ds, err := data.FromTensor(pixels, []int{0, 7}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, task := range map[string]Task{
		"no training images":            {Name: "t", Classes: 2},
		"the label 7: its classes are":  {Name: "t", Classes: 2, Train: ds, Validation: ds, Test: ds},
		"no image has the label 1 of 8": {Name: "t", Classes: 8, Train: ds, Validation: ds, Test: ds},
	} {
		if _, err := FixedFeatures(network(t, 1), task, learn.LogisticRegression{}, nil); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
	}
}
