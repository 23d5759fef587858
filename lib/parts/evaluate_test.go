package parts

import (
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/model"
)

// AutoAttack's four attempts are followed by two through the parts, on what stands; what has fallen is wrong when the
// model is asked again.
func TestEvaluate(t *testing.T) {
	segmenter, err := model.FromFunc(model.Spec{Name: "shades", Height: tiny, Width: tiny, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			shades := graph.Const(x.Graph(), [][][][]float32{{{{10, -30, 20, 50, -40}}}})
			levels := graph.Const(x.Graph(), [][][][]float32{{{{2, 4, 0, -15, 8}}}})
			return b.Map(Segmentation, graph.Add(graph.Mul(x, shades), levels))
		})
	if err != nil {
		t.Fatal(err)
	}
	m, err := BoundingBox{}.Make(segmenter, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	// Without biases no class is the likeliest of all images.
	w := m.Weights()
	for _, name := range []string{"classifier.hidden.bias", "classifier.linear.bias"} {
		w[name] = tensors.FromShape(w[name].Shape())
	}
	if m, err = m.WithWeights(w); err != nil {
		t.Fatal(err)
	}
	images, _, masks := bars(40, 1)
	labels, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	_, _, guides := bars(40, 2)
	guideLabels := make([]int, 40)
	for i := range guideLabels {
		guideLabels[i] = i % 4
	}
	a := attack.AutoAttack{Norm: attack.LInf, Eps: 0.05, Steps: 3, Targets: 1, Queries: 2}
	e, err := Evaluate(a, m, images, labels, masks, guides, guideLabels, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(e, e.Attempts)
	if len(e.Attempts) != 6 || e.Attempts[4].Attack != "parts, untargeted" ||
		e.Attempts[5].Attack != "parts, towards a guide" {
		t.Fatalf("the attempts are %+v", e.Attempts)
	}
	standing := e.Clean.Correct
	for _, by := range e.Attempts {
		if by.Tried != standing {
			t.Errorf("%s tries %d images, and %d stand", by.Attack, by.Tried, standing)
		}
		standing -= by.Fell
	}
	if e.Robust.Correct != standing || e.Clean.Correct != 40 {
		t.Errorf("%v stand of %v, and %d by the attempts", e.Robust, e.Clean, standing)
	}
	again, err := m.Predict(e.Images)
	if err != nil {
		t.Fatal(err)
	}
	for i, by := range e.By {
		if (again[i] != labels[i]) != (by >= 0) {
			t.Errorf("image %d, which fell to %d, is taken for %d and is %d", i, by, again[i], labels[i])
		}
	}
	if _, err := Evaluate(a, m, images, labels, nil, guides, guideLabels, 0); err == nil ||
		!strings.Contains(err.Error(), "masks [N, H, W]") {
		t.Errorf("without masks: %v", err)
	}
	if e, err := Evaluate(a, plainClassifier(t), images, labels, nil, nil, nil, 0); err != nil || len(e.Attempts) > 4 {
		t.Errorf("of a plain classifier: %v", err)
	}
}

// plainClassifier is a classifier that says nothing of pixels.
func plainClassifier(t *testing.T) *model.Model {
	t.Helper()
	plain, err := model.FromFunc(model.Spec{Name: "plain", Height: tiny, Width: tiny, Channels: 1},
		func(x *graph.Node) *graph.Node {
			return graph.ReduceMean(graph.Concatenate([]*graph.Node{x, graph.OneMinus(x), graph.MulScalar(x, 0.5),
				graph.AddScalar(x, -1)}, -1), 1, 2)
		})
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
