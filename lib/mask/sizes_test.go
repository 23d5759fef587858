package mask

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// Image 0 has a subset in both, image 1 only in the first, image 2 in neither, image 3, of which nothing need be left,
// in both.
func TestCommonSizesAreOfTheSameImages(t *testing.T) {
	subsets := func(height int, sizes ...int) *Sufficient {
		return &Sufficient{Sizes: sizes, Kept: tensors.FromScalarAndDimensions(float32(0), len(sizes), height, 5)}
	}
	sizes, images, err := CommonSizes(subsets(2, 5, 1, -1, 0), subsets(4, 10, -1, -1, 2))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(images, []int{0, 3}) || !slices.Equal(sizes[0], []float64{0.5, 0}) ||
		!slices.Equal(sizes[1], []float64{0.5, 0.1}) {
		t.Errorf("the sizes are %v of the images %v", sizes, images)
	}
	if _, _, err := CommonSizes(subsets(2, 5), subsets(2, 5, 1)); err == nil {
		t.Error("subsets of other images were compared")
	}
	if _, _, err := CommonSizes(); err == nil {
		t.Error("nothing was compared")
	}
}

// orderingOf is an ordering of images of ten pixels, five masked at a time, by their confidences before the iterations
// and with everything masked.
func orderingOf(images ...[3]float32) *Ordering {
	o := &Ordering{Height: 2, Width: 5, K: 5}
	for _, c := range images {
		o.Rank = append(o.Rank, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
		o.ConfidenceBefore = append(o.ConfidenceBefore, []float32{c[0], c[1]})
		o.ConfidenceMasked = append(o.ConfidenceMasked, c[2])
	}
	return o
}

// By hand: at 0.5 half of the first image suffices and all of the second, and for the sure kind half of both. At 0.9
// only the sure kind reaches the second image, so that sizes are of the first; at 0.99 the unsure one reaches none.
func TestSizesAreComparedOnImagesThatAllReach(t *testing.T) {
	unsure := orderingOf([3]float32{0.95, 0.6, 0.1}, [3]float32{0.6, 0.2, 0.1}, [3]float32{0.3, 0.9, 0.1})
	sure := orderingOf([3]float32{1, 0.99, 0.1}, [3]float32{1, 0.7, 0.1}, [3]float32{1, 1, 0.1})
	c, err := CompareSizes([]float64{0.5, 0.9, 0.99}, OrderingGroup{"unsure", []*Ordering{unsure, unsure}},
		OrderingGroup{"sure", []*Ordering{sure, sure}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		threshold float64
		kind      string
		size      float64
	}{{0.5, "unsure", 75}, {0.5, "sure", 50}, {0.9, "unsure", 100}, {0.9, "sure", 50}} {
		got, err := c.At(want.threshold, want.kind)
		if err != nil || !slices.Equal(got, []float64{want.size, want.size}) {
			t.Errorf("at %g subsets of the %s have %v (%v), want %g twice", want.threshold, want.kind, got, err, want.size)
		}
	}
	if _, err := c.At(0.99, "sure"); err == nil {
		t.Error("sizes are compared at 0.99, which the unsure ones never reach")
	}
	for _, unknown := range []struct {
		threshold float64
		kind      string
	}{{0.7, "sure"}, {0.9, "other"}} {
		if _, err := c.At(unknown.threshold, unknown.kind); err == nil || !strings.Contains(err.Error(), "unsure") {
			t.Errorf("sizes of %s at %g: %v", unknown.kind, unknown.threshold, err)
		}
	}
	if got := c.Table().Rows; got[0][1] != 4 || got[1][1] != 2 || got[1][2] != 6 || got[1][3] != "2 of 6" ||
		got[2][3] != "0 of 6" {
		t.Errorf("the table says %v", got)
	}
	if s := c.Plot().Series; len(s) != 2 || !slices.Equal(s[0].X, []float64{0.5, 0.9}) ||
		!slices.Equal(s[0].Y, []float64{75, 100}) {
		t.Errorf("the plot shows %v", s)
	}
}

func TestSizesOfOtherSeedsOrImagesAreNotCompared(t *testing.T) {
	one, two := orderingOf([3]float32{1, 1, 0}), orderingOf([3]float32{1, 1, 0}, [3]float32{1, 1, 0})
	for name, kinds := range map[string][]OrderingGroup{
		"no kinds": nil, "no seeds": {{Name: "none"}},
		"other seeds":  {{"a", []*Ordering{one, one}}, {"b", []*Ordering{one}}},
		"other images": {{"a", []*Ordering{one}}, {"b", []*Ordering{two}}},
		"same name":    {{"a", []*Ordering{one}}, {"a", []*Ordering{one}}},
	} {
		if _, err := CompareSizes([]float64{0.5}, kinds...); err == nil {
			t.Errorf("%s: were compared", name)
		}
	}
	for _, thresholds := range [][]float64{nil, {0}, {1.5}} {
		if _, err := CompareSizes(thresholds, OrderingGroup{"a", []*Ordering{one}}); err == nil {
			t.Errorf("sizes at %v were compared", thresholds)
		}
	}
}
