package mask

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

// Of two images of 2 x 3 pixels with two channels, the first becomes brighter by 0.5 in its box of one pixel and by 0.1
// in one other value; the second becomes darker everywhere, which is no change of the box.
func TestBrightening(t *testing.T) {
	before, after := make([]float32, 24), make([]float32, 24)
	for i := range before {
		before[i], after[i] = 0.5, 0.5
		if i >= 12 {
			after[i] = 0.25
		}
	}
	box := Box{Row: 1, Column: 2, Height: 1, Width: 1} // values 10 and 11
	after[10], after[11], after[0] = 1, 1, 0.6
	of := func(flat []float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(flat, 2, 2, 3, 2) }
	gains, err := Brightening(of(before), of(after), box)
	if err != nil || len(gains) != 2 || !approx.Equal(gains[0], 0.5-0.1/10, 1e-7) || !approx.Equal(gains[1], 0, 1e-12) {
		t.Errorf("%v: %v", gains, err)
	}
	after[0] = float32(math.NaN())
	for want, ask := range map[string]func() error{
		"is no part of": func() error { _, err := Brightening(of(before), of(before), Box{Height: 2, Width: 3}); return err },
		"at row 2": func() error {
			_, err := Brightening(of(before), of(before), Box{Row: 2, Height: 1, Width: 1})
			return err
		},
		"image 0": func() error { _, err := Brightening(of(before), of(after), box); return err },
		"one shape": func() error {
			_, err := Brightening(of(before), tensors.FromFlatDataAndDimensions(after, 1, 4, 3, 2), box)
			return err
		},
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
