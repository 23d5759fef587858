package augment

import (
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

// By hand: √((0.3² + 0.4²)/2) and 0.
func TestDifferenceOfImages(t *testing.T) {
	a := tensors.FromValue([][][][]float32{{{{0.5, 0.5}}}, {{{1, 0}}}})
	b := tensors.FromValue([][][][]float32{{{{0.2, 0.9}}}, {{{1, 0}}}})
	got, err := Difference(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(got, []float64{0.3535533905932738, 0}, 1e-7); err != nil { // the values are float32
		t.Error(err)
	}
	for _, other := range []*tensors.Tensor{
		tensors.FromValue([][][][]float32{{{{0.2, 0.9}}}}), tensors.FromValue([][][][]uint8{{{{1, 2}}}, {{{1, 2}}}}),
	} {
		if _, err := Difference(a, other); err == nil {
			t.Errorf("there is a difference from %s", other.Shape())
		}
	}
}
