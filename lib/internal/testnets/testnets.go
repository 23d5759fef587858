// Package testnets trains the small networks that tests of several packages look into.
package testnets

import (
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// SmallCNN trains a learn.SmallCNN of ten classes on images, [N, 28, 28, 1] float32 in 0..1, by learn.Default.
func SmallCNN(t *testing.T, images *tensors.Tensor, labels []int, epochs int, seed uint64) *model.Model {
	t.Helper()
	mean, std, err := learn.Statistics(images)
	if err != nil {
		t.Fatal(err)
	}
	net, err := learn.SmallCNN(model.Spec{Height: 28, Width: 28, Channels: 1, Mean: mean, Std: std}, 10, seed)
	if err != nil {
		t.Fatal(err)
	}
	recipe := learn.Default
	recipe.Epochs, recipe.Seed = epochs, seed
	trained, _, err := recipe.Train(net, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	return trained
}
