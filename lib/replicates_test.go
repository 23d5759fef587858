package loupe

import (
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// Each replicate is the network that Train gives with its seed, and they differ.
func TestReplicates(t *testing.T) {
	flat, labels := make([]float32, 24*8*8), make([]int, 24)
	for i := range labels {
		labels[i] = i % 2
		for j := range 64 {
			flat[i*64+j] = float32((j*(labels[i]+2)+i)%5) / 5
		}
	}
	ds := must(data.FromTensor(tensors.FromFlatDataAndDimensions(flat, 24, 8, 8, 1), labels, []string{"a", "b"}))
	recipe := learn.Default
	recipe.Epochs, recipe.BatchSize = 2, 8
	fresh := func(seed uint64) *model.Model { return SmallCNN(ds, seed, 4) }
	nets := Replicates(2, ds, recipe, fresh)
	var first []float32
	for i, m := range nets {
		recipe.Seed = uint64(i + 1)
		want := Train(fresh(recipe.Seed), ds, recipe)
		images := must(ds.All())
		got := tensors.MustCopyFlatData[float32](must(m.Logits(images)))
		if !slices.Equal(got, tensors.MustCopyFlatData[float32](must(want.Logits(images)))) {
			t.Errorf("replicate %d is not what Train gives with its seed", i)
		}
		if i == 0 {
			first = got
		} else if slices.Equal(got, first) {
			t.Error("the replicates are one network")
		}
	}
	accuracies := Accuracies(nets, ds)
	for i, m := range nets {
		if want := 100 * must(m.Accuracy(ds)).Share(); accuracies[i] != want {
			t.Errorf("the accuracy of network %d is %g, want %g", i, accuracies[i], want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("no networks are trained without a word")
		}
	}()
	Replicates(0, ds, recipe, fresh)
}

// Of images with and without a red pixel, those with one are taken for red.
func TestPredictedAs(t *testing.T) {
	images := must(data.FromTensor(spots(), nil, nil))
	dark := must(data.FromTensor(tensors.FromScalarAndDimensions(float32(0), 2, 8, 8, 3), nil, nil))
	if got := PredictedAs(redness(), images, 0); got != 100 {
		t.Errorf("%g%% of the red images are taken for red", got)
	}
	both := must(data.FromTensor(tensors.FromFlatDataAndDimensions(append(make([]float32, 3*8*8*3),
		tensors.MustCopyFlatData[float32](must(images.Images(0)))...), 4, 8, 8, 3), nil, nil))
	shifted := must(redness().Extend("shifted", nil, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		return graph.Sub(out.Logits, graph.Const(out.Logits.Graph(), [][]float32{{0.5, 0}}))
	}))
	if got := PredictedAs(shifted, both, 0); got != 25 {
		t.Errorf("%g%% of the images are taken for red, want 25", got)
	}
	if got := PredictedAs(shifted, dark, 1); got != 100 {
		t.Errorf("%g%% of the dark images are taken for dark", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a class that the model has not is predicted")
		}
	}()
	PredictedAs(shifted, dark, 2)
}
