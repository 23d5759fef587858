package evaluate

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

func TestCompare(t *testing.T) {
	first, second := of(t, "first"), of(t, "second")
	c, err := Compare(first, second)
	if err != nil {
		t.Fatal(err)
	}
	want := oracle.Read[int64](t, "testdata/evaluate.npz", "paired")
	if c.Accuracy != (stats.Paired{Both: int(want[0]), First: int(want[1]), Second: int(want[2]), Neither: int(want[3])}) {
		t.Errorf("the accuracies are %+v, want %v", c.Accuracy, want)
	}
	one, _ := first.Answers.Predicted()
	two, _ := second.Answers.Predicted()
	same, differ := 0, map[int]bool{}
	for i := range one {
		if one[i] == two[i] {
			same++
		} else {
			differ[i] = true
		}
	}
	if c.Agreement != (stats.Accuracy{Correct: same, Total: 500}) {
		t.Errorf("they agree on %v, want %d", c.Agreement, same)
	}
	images, err := c.Disagreements(500)
	if err != nil || images.Len() != len(differ) {
		t.Fatalf("%d disagreements, %v, want %d", images.Len(), err, len(differ))
	}
	alone := c.Accuracy.First + c.Accuracy.Second // these come first, and behind them those that both have wrong
	for k, i := range images.Index {
		oneRight := one[i] == first.Answers.Labels[i] || two[i] == first.Answers.Labels[i]
		if !differ[i] || oneRight != (k < alone) {
			t.Errorf("place %d has image %d: they say %d and %d, the label is %d", k, i, one[i], two[i], first.Answers.Labels[i])
		}
	}
	if text := c.Bundle().Data[mime.Text]; !strings.Contains(text, "McNemar") || !strings.Contains(text, "they agree on") {
		t.Errorf("it shows %s", text)
	}
}

// answers are those of a model with names for its classes, as sure as said of what it predicts.
func named(t *testing.T, classes []string, labels []int, predicted ...int) *Evaluation {
	t.Helper()
	k := len(classes)
	flat := make([]float32, 0, k*len(predicted))
	for _, class := range predicted {
		row := make([]float32, k)
		row[class] = 1
		flat = append(flat, row...)
	}
	a, err := model.AnswersFromProbabilities("m", tensors.FromFlatDataAndDimensions(flat, len(predicted), k), labels)
	if err != nil {
		t.Fatal(err)
	}
	a.Classes = classes
	e, err := FromAnswers(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Models that number their classes differently meet by the classes' names.
func TestCompareMeetsByName(t *testing.T) {
	hens := named(t, []string{"hen", "owl"}, []int{0, 1, 1}, 0, 1, 0)
	owls := named(t, []string{"owl", "kea", "hen"}, []int{2, 0, 0}, 2, 1, 2)
	c, err := Compare(hens, owls)
	if err != nil || c.Agreement != (stats.Accuracy{Correct: 2, Total: 3}) ||
		c.Accuracy != (stats.Paired{Both: 1, First: 1, Neither: 1}) {
		t.Errorf("%v, %v", c, err)
	}
	images, err := c.Disagreements(3)
	if err != nil || !slices.Equal(images.Index, []int{1}) ||
		!strings.Contains(images.captions[0], "owl 100%\nor kea 100%\nlabel owl") {
		t.Errorf("%v, %v", images, err)
	}
	unlabelled := named(t, []string{"hen", "owl"}, nil, 0, 1, 1)
	c, err = Compare(hens, unlabelled)
	if err != nil || c.Accuracy.Total() != 0 || c.Agreement.Correct != 2 {
		t.Errorf("without labels: %v, %v", c, err)
	}
	if text := c.Bundle().Data[mime.Text]; strings.Contains(text, "McNemar") ||
		!strings.Contains(text, "none of the 3 images has a label") {
		t.Errorf("without labels it shows %s", text)
	}
	people, err := FromAnswers(model.AnswersFromClasses("people", []int{0, 1, 4}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, pair := range map[string][2]*Evaluation{
		"one is nil":               {hens, nil},
		"on the same ones":         {hens, of(t, "first")},
		"which is which":           {hens, people},
		`"auk"`:                    {hens, named(t, []string{"auk", "tit"}, nil, 0, 0, 0)},
		"this evaluation is empty": {&Evaluation{}, &Evaluation{}},
	} {
		if c, err := Compare(pair[0], pair[1]); err == nil || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want an error that says %q", c, err, want)
		}
	}
	if text := (&Comparison{}).Bundle().Data[mime.Text]; !strings.Contains(text, "empty") {
		t.Errorf("an empty comparison shows %s", text)
	}
}
