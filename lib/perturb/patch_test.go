package perturb

import (
	"maps"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
)

// The patch is on the first share of each class that was named, where it was asked for, and on nothing else.
func TestPlant(t *testing.T) {
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, 6*4*4), 6, 4, 4, 1),
		[]int{1, 0, 1, 2, 1, 0}, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	patch := Patch{Row: 1, Column: 2, Side: 2, Value: 0.5}
	with := []float32{0, 0, 0, 0, 0, 0, .5, .5, 0, 0, .5, .5, 0, 0, 0, 0}
	for _, c := range []struct {
		share   float64
		classes []int
		want    []int
	}{{0.7, []int{1}, []int{0, 2}}, {0.5, []int{1, 0}, []int{0, 1}}, {1, nil, []int{0, 1, 2, 3, 4, 5}},
		{0, []int{1}, nil}} {
		planted, has, err := patch.Plant(ds, c.share, c.classes...)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(has)); !slices.Equal(got, c.want) {
			t.Errorf("%v of %v: the patch is said to be on %v, want %v", c.share, c.classes, got, c.want)
		}
		images, err := planted.All()
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](images)
		for i := range 6 {
			want := make([]float32, 16)
			if slices.Contains(c.want, i) {
				want = with
			}
			if got := flat[16*i : 16*i+16]; !slices.Equal(got, want) {
				t.Errorf("%v of %v: image %d is %v, want %v", c.share, c.classes, i, got, want)
			}
		}
		if !slices.Equal(planted.Labels(), ds.Labels()) || !slices.Equal(planted.Classes(), ds.Classes()) {
			t.Errorf("labels %v of classes %v", planted.Labels(), planted.Classes())
		}
	}
	for _, share := range []float64{-0.1, 1.1} {
		if _, _, err := patch.Plant(ds, share); err == nil {
			t.Errorf("a patch is on %v of the images", share)
		}
	}
	if _, _, err := patch.Plant(ds, 1, 3); err == nil {
		t.Error("a class without images got patches")
	}
}
