package loupe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/evaluate"
	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/ood"
	"github.com/loupeml/loupe/lib/sink"
)

func TestEvaluateTakesWhatIsBroughtToTheModelsSize(t *testing.T) {
	m := redness()
	ds := must(data.FromTensor(spots(), []int{0, 1}, []string{"red", "other"}))
	e := Evaluate(m, ds.Map(data.Resize(16, 16)))
	if a := must(e.Accuracy()); a.Top1.Correct != 1 || a.Top1.Total != 2 {
		t.Errorf("accuracy %v", a)
	}
	if mistakes := must(e.Mistakes(1)); mistakes.Len() != 1 || mistakes.Index[0] != 1 {
		t.Errorf("mistakes %v", mistakes)
	}
	if _, err := Evaluate(m, spots()).Accuracy(); err == nil ||
		!strings.Contains(err.Error(), "none of the 2 images has a label") {
		t.Errorf("of a tensor: %v", err)
	}
	other := must(data.FromTensor(spots(), []int{0, 1}, []string{"cat", "dog"}))
	named := must(model.FromFunc(model.Spec{Name: "named", Height: 8, Width: 8, Channels: 3,
		Classes: []string{"red", "other"}}, func(x *graph.Node) *graph.Node {
		return graph.Slice(graph.Reshape(x, -1, 8*8*3), graph.AxisRange(), graph.AxisRange(0, 2))
	}))
	for want, f := range map[string]func(){
		"no classes of named": func() { Evaluate(named, other) },
		"images are a":        func() { Evaluate(m, 7) },
		"no-such-folder":      func() { Compare(m, m, "no-such-folder") },
		"none of the 2 im":    func() { must(Evaluate(m, spots()).PerClass()) },
	} {
		if got := panicOf(f); !strings.Contains(got, want) {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}
}

// Models of different sizes are compared on one dataset.
func TestCompareModelsOfDifferentSizes(t *testing.T) {
	small := must(model.FromFunc(model.Spec{Name: "small", Height: 4, Width: 4, Channels: 3},
		func(x *graph.Node) *graph.Node {
			red := graph.InsertAxes(graph.ReduceSum(graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(),
				graph.AxisRange(0, 1)), 1, 2, 3), -1)
			return graph.Concatenate([]*graph.Node{graph.ZerosLike(red), red}, 1)
		}))
	ds := must(data.FromTensor(spots(), []int{0, 1}, []string{"red", "other"}))
	c := Compare(redness(), small, ds)
	if c.Accuracy.First != 1 || c.Accuracy.Second != 1 || c.Agreement.Correct != 0 {
		t.Errorf("%+v, agreement %v", c.Accuracy, c.Agreement)
	}
}

// An interrupted Evaluate shows what it knows of the images that are done, and keeps it.
func TestEvaluateKeepsWhatIsDone(t *testing.T) {
	m := redness()
	m.BatchSize = 1
	ds := must(data.FromTensor(spots(), []int{0, 1}, []string{"red", "other"}))
	left.Keep(nil)
	shown := &shownThings{}
	sink.Use(shown)
	defer sink.Use(nil)
	for questions := 0; ; questions++ {
		shown.bundles = nil
		release := interrupt.Use(testenv.CancelledAfter(questions))
		text := panicOf(func() { Evaluate(m, ds) })
		release()
		if text == "<nil>" {
			t.Fatal("no interrupt leaves a part")
		}
		e, ok := Partial().(*evaluate.Evaluation)
		if !ok {
			continue
		}
		if want := "interrupted after 1 of 2 images"; e.Answers.Len() != 1 || !strings.Contains(text, want) {
			t.Errorf("it keeps %v and panics with %q, want %q", e, text, want)
		}
		if len(shown.bundles) != 1 || !strings.Contains(shown.bundles[0].Data[mime.Text],
			"this is of the first 1 of 2 images") {
			t.Errorf("it shows %v", fmt.Sprint(shown.bundles))
		}
		return
	}
}

// The image whose features lie furthest from those of the training images is found, by their distance and by a
// detector.
func TestUnlikeTraining(t *testing.T) {
	m, training, flat := striped(t), stripes(60, 0, 3), must(tensors.CopyFlatData[float32](must(stripes(12, 0, 4).All())))
	for p := range 16 * 16 {
		flat[5*16*16+p] = 1 - flat[5*16*16+p]
	}
	strange := must(data.FromTensor(tensors.FromFlatDataAndDimensions(flat, 12, 16, 16, 1), nil, nil))
	e := Evaluate(m, strange)
	for _, c := range []struct {
		by    ood.Detector
		found *evaluate.Images
	}{
		{must(ood.FitKNN(m, training, 1)), must(e.UnlikeTraining(12, training))},
		{must(ood.FitMahalanobis(m, training)), must(e.UnlikeBy(12, must(ood.FitMahalanobis(m, training))))},
	} {
		scores := must(c.by.Scores(strange))
		at := floats.MaxIdx(scores)
		rows := c.found.Table().Rows
		if c.found.Len() != 12 || c.found.Index[0] != at || at != 5 || rows[0][len(rows[0])-1] != scores[at] {
			t.Errorf("most unlike by %s are %v: %v, want image %d with %v first", c.by.Name(), c.found.Index, rows[0], at,
				scores[at])
		}
	}
	if few := must(e.UnlikeTraining(1, training.Take(1))); few.Len() != 1 || !strings.Contains(few.Title, "neighbour 1") {
		t.Errorf("beside one image: %s", few.Title)
	}
	if found := must(e.UnlikeTraining(1, training)); strings.Contains(found.Note, "are they among") {
		t.Errorf("beside other images: %s", found.Note)
	}
	if same := must(e.UnlikeTraining(1, strange)); !strings.Contains(same.Note, "12 of 12 images have the features of") {
		t.Errorf("beside themselves: %s", same.Note)
	}
	given := must(evaluate.FromAnswers(must(m.Answers(training)), training))
	for want, f := range map[string]func(){
		"no model to ask":      func() { must(given.UnlikeTraining(1, training)) },
		"there is no dataset":  func() { must(e.UnlikeTraining(1, nil)) },
		"there is no detector": func() { must(e.UnlikeBy(1, nil)) },
		"0 images":             func() { must(e.UnlikeBy(0, ood.ODIN{Model: m})) },
	} {
		if got := panicOf(f); !strings.Contains(got, want) {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}
}
