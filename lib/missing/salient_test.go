package missing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
)

// The least salient segments by a method are the last of the most salient by its heatmap.
func TestLeastSalient(t *testing.T) {
	m, err := learn.SmallCNN(model.Spec{Height: 12, Width: 12, Channels: 1}, 4, 1, 8)
	if err != nil {
		t.Fatal(err)
	}
	flat := make([]float32, 2*144)
	for i := range flat {
		flat[i] = float32(i*i%13) / 13
	}
	images := tensors.FromFlatDataAndDimensions(flat, 2, 12, 12, 1)
	segments, err := missing.PatchesOf(images, 4)
	if err != nil {
		t.Fatal(err)
	}
	got, err := missing.LeastSalient(attrib.Gradient{})(m, images, segments, missing.Fill{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := attrib.Gradient{}.Attribute(m, images, nil)
	if err != nil {
		t.Fatal(err)
	}
	heat, err := a.Heatmap()
	if err != nil {
		t.Fatal(err)
	}
	want, err := segments.SalientOrders(heat)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		slices.Reverse(want[i])
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
	for want, order := range map[string]missing.Order{"it is nil": missing.LeastSalient(attrib.Method(nil)),
		"no segments": missing.LeastSalient(attrib.GradCAM{})} {
		if _, err := order(m, images, nil, missing.Fill{}, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}
