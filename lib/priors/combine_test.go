package priors

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

func answersOf(t *testing.T, name string, labels []int, rows ...[]float32) *model.Answers {
	t.Helper()
	a, err := model.AnswersFromProbabilities(name, tensors.FromFlatDataAndDimensions(slices.Concat(rows...), len(rows),
		len(rows[0])), labels)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFailureModes(t *testing.T) {
	// Right: a 1 1 1 0 0 1, b 1 0 1 0 1 1; the seventh image has no label.
	labels := []int{0, 0, 0, 0, 0, 0, -1}
	yes, no := []float32{0.8, 0.2}, []float32{0.3, 0.7}
	a := answersOf(t, "a", labels, yes, yes, yes, no, no, yes, no)
	b := answersOf(t, "b", labels, yes, no, yes, no, yes, yes, no)
	f, err := FailureModes(a, b)
	if err != nil {
		t.Fatal(err)
	}
	o := f.Pairs[0]
	if o != (Overlap{"a", "b", 3, 1, 1, 1}) {
		t.Errorf("%+v", o)
	}
	r, _, err := stats.Pearson([]float64{1, 1, 1, 0, 0, 1}, []float64{1, 0, 1, 0, 1, 1}, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	if !approx.Equal(o.Correlation(), r, 1e-12) {
		t.Errorf("the correlation is %g, by Pearson %g", o.Correlation(), r)
	}
	chance := 4.0/6*4/6 + 2.0/6*2/6
	if want := (4.0/6 - chance) / (1 - chance); !approx.Equal(o.Consistency(), want, 1e-12) {
		t.Errorf("the consistency is %g, want %g", o.Consistency(), want)
	}
	if o.Shared() != (stats.Accuracy{Correct: 1, Total: 3}) || o.Either() != (stats.Accuracy{Correct: 5, Total: 6}) {
		t.Errorf("shared %v, either %v", o.Shared(), o.Either())
	}
	if x := (Overlap{Both: 3}).Correlation(); !math.IsNaN(x) {
		t.Errorf("the correlation of two that never fail is %g", x)
	}
	other := answersOf(t, "c", []int{0, 1, 0, 0, 0, 0, -1}, yes, no, yes, no, yes, yes, no)
	if _, err := FailureModes(a, other); err == nil || !strings.Contains(err.Error(), "not the same images") {
		t.Errorf("other labels: %v", err)
	}
	if _, err := FailureModes(a); err == nil {
		t.Error("one network was compared")
	}
}

func TestCombine(t *testing.T) {
	labels := []int{0, 1, 2}
	a := answersOf(t, "a", labels, []float32{0.5, 0.3, 0.2}, []float32{0.9, 0.1, 0}, []float32{0.2, 0.2, 0.6})
	b := answersOf(t, "b", labels, []float32{0.1, 0.2, 0.7}, []float32{0.2, 0.8, 0}, []float32{0.1, 0.3, 0.6})
	mean, err := Combine(MeanProbability, a, b)
	if err != nil {
		t.Fatal(err)
	}
	sure, err := Combine(MostConfident, a, b)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		got  *model.Answers
		want []float64
	}{
		"mean":           {mean, []float64{0.3, 0.25, 0.45, 0.55, 0.45, 0, 0.15, 0.25, 0.6}},
		"most confident": {sure, []float64{0.1, 0.2, 0.7, 0.9, 0.1, 0, 0.2, 0.2, 0.6}},
	} {
		p, err := c.got.Probabilities()
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](p), c.want, 1e-6); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(c.got.Labels, labels) {
			t.Errorf("%s has the labels %v", name, c.got.Labels)
		}
	}
	if _, err := Combine(Combination(7), a, b); err == nil {
		t.Error("an unknown combination")
	}
}

// Two networks of which each knows one half of the answer: stacked they are right where neither is, nor their mean.
func TestStack(t *testing.T) {
	// a tells {0,1} from {2,3}, b {0,2} from {1,3}; b is shy, and its mean with a has ties that the first class wins.
	var labels []int
	var first, second [][]float32
	for i := range 40 {
		label, e := i%4, 0.01*float32(i%3)
		labels = append(labels, label)
		a, b := make([]float32, 4), make([]float32, 4)
		for c := range 4 {
			a[c], b[c] = 0.05, 0.24
			if c/2 == label/2 {
				a[c] = 0.45
			}
			if c%2 == label%2 {
				b[c] = 0.26
			}
		}
		a[0], a[3] = a[0]+0.03+e, a[3]-0.03-e // a leans to the class 0
		first, second = append(first, a), append(second, b)
	}
	a, b := answersOf(t, "a", labels, first...), answersOf(t, "b", labels, second...)
	s, err := Stack(learn.LogisticRegression{Lambda: 1e-4}, a, b)
	if err != nil {
		t.Fatal(err)
	}
	stacked, err := s.Of(a, b)
	if err != nil {
		t.Fatal(err)
	}
	mean, err := Combine(MeanProbability, a, b)
	if err != nil {
		t.Fatal(err)
	}
	shares := map[string]float64{}
	for name, of := range map[string]*model.Answers{"a": a, "b": b, "mean": mean, "stacked": stacked} {
		accuracy, err := of.Accuracy()
		if err != nil {
			t.Fatal(err)
		}
		shares[name] = accuracy.Share()
	}
	if shares["stacked"] != 1 || !(max(shares["a"], shares["b"], shares["mean"]) < 1) {
		t.Errorf("accuracies: %v", shares)
	}
	if _, err := s.Of(a, b, b); err == nil {
		t.Error("answers of three networks for an ensemble of two")
	}
}
