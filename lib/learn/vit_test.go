package learn

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/model"
)

var barSpec = model.Spec{Height: 8, Width: 8, Channels: 1, Mean: []float64{0.4}, Std: []float64{0.25}}

func TestViTLearnsWhatCanBeLearnt(t *testing.T) {
	images, labels := bars(1000, 1)
	test, truth := bars(300, 2)
	v := ViT{Patch: 2, Width: 16, Depth: 1, Heads: 2}
	m, err := v.Make(barSpec, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	if m.Grid() != (model.Grid{Rows: 4, Columns: 4}) {
		t.Errorf("the grid is %v", m.Grid())
	}
	again, err := v.Make(barSpec, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range weightsOf(t, m) {
		if !slices.Equal(w, weightsOf(t, again)[name]) {
			t.Errorf("the same seed gives other weights %s", name)
		}
	}
	r := DefaultViT
	r.LearningRate = 0.005
	trained, history, err := r.Train(m, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	if a := accuracy(t, trained, labeled{test, truth}); !(a >= 0.9) {
		t.Errorf("accuracy %v on images of the same kind; the epochs were %v", a, history)
	}
	// Images without the difference between the classes teach nothing.
	r.Epochs = 2
	r.Augment = func(images *graph.Node, uniform func(dims ...int) *graph.Node) *graph.Node {
		return uniform(images.Shape().Dimensions...)
	}
	if trained, _, err = r.Train(m, images, labels); err != nil {
		t.Fatal(err)
	}
	if a := accuracy(t, trained, labeled{test, truth}); !(a <= 0.55) {
		t.Errorf("accuracy %v after training on noise", a)
	}
}

func TestViTAndItsRecipeNameWhatIsWrong(t *testing.T) {
	images, labels := bars(64, 1)
	train := func(change func(r *Recipe)) error {
		r := DefaultViT
		change(&r)
		_, _, err := r.Train(network(t, 1), images, labels)
		return err
	}
	wrongShape := func(x *graph.Node, _ func(dims ...int) *graph.Node) *graph.Node { return graph.ReduceMean(x, 1) }
	second := func(_ any, err error) error { return err }
	for _, c := range []struct {
		err  error
		want string
	}{
		{second(ViT{Patch: 3}.Make(barSpec, 3, 1)), "take a divisor of both"},
		{second(ViT{Width: 10}.Make(barSpec, 3, 1)), "a multiple of Heads"},
		{second(ViT{Depth: -1}.Make(barSpec, 3, 1)), "cannot be"},
		{second(ViT{}.Make(barSpec, 1, 1)), "a classifier of 1 classes"},
		{train(func(r *Recipe) { r.Momentum = 0.9 }), "Adam has moments of its own"},
		{train(func(r *Recipe) { r.Augment = wrongShape }), "the shape that it gets"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("the error is %v, want it to say %q", c.err, c.want)
		}
	}
}

func TestWarmUp(t *testing.T) {
	s := WarmUp(0.2, Cosine)
	for done, want := range map[float64]float64{0: 0, 0.1: 0.5, 0.2: 1, 0.6: 0.5, 1: 0} {
		if got := s(done); !approx.Equal(got, want, 1e-12) {
			t.Errorf("after %g of the steps it is %g, want %g", done, got, want)
		}
	}
}
