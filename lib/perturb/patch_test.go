package perturb

import (
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
)

// The patch is on the images that were named, where it was asked for, and on nothing else.
func TestPatchOnADataset(t *testing.T) {
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, 3*4*4), 3, 4, 4, 1), []int{1, 0, 1}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	patch := Patch{Row: 1, Column: 2, Side: 2, Value: 0.5}
	marked, err := patch.On(ds, []int{0, 2})
	if err != nil {
		t.Fatal(err)
	}
	images, err := marked.All()
	if err != nil {
		t.Fatal(err)
	}
	flat := tensors.MustCopyFlatData[float32](images)
	with := []float32{0, 0, 0, 0, 0, 0, .5, .5, 0, 0, .5, .5, 0, 0, 0, 0}
	for i, want := range [][]float32{with, make([]float32, 16), with} {
		if got := flat[16*i : 16*i+16]; !slices.Equal(got, want) {
			t.Errorf("image %d is %v, want %v", i, got, want)
		}
	}
	if !slices.Equal(marked.Labels(), []int{1, 0, 1}) || !slices.Equal(marked.Classes(), []string{"a", "b"}) {
		t.Errorf("labels %v of classes %v", marked.Labels(), marked.Classes())
	}
	if _, err := patch.On(ds, []int{3}); err == nil {
		t.Error("an image that does not exist got a patch")
	}
}
