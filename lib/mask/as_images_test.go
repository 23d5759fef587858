package mask

import (
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

func TestMasksAsImages(t *testing.T) {
	x, err := AsImages(tensors.FromValue([][][]float32{{{0, 1, 0}, {1, 1, 0}}}))
	if got := flat(t, x, err); !slices.Equal(got, []float32{0, 1, 0, 1, 1, 0}) ||
		!slices.Equal(x.Shape().Dimensions, []int{1, 2, 3, 1}) {
		t.Errorf("the mask is %v as an image, %s", got, x.Shape())
	}
	if _, err := AsImages(tensors.FromValue([][]float32{{1}})); err == nil {
		t.Error("a mask of no image is one")
	}
	if _, err := AsImages(tensors.FromValue([][][]int32{{{1}}})); err == nil {
		t.Error("a mask of integers is one")
	}
}
