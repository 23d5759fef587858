package data

import (
	"slices"
	"strings"
	"testing"
)

// The means are numpy's: a.reshape(h//2, 2, w//2, 2, c).mean((1, 3)), of numbers that binary fractions hold exactly.
func TestMeanPool(t *testing.T) {
	img := Image{Height: 2, Width: 4, Channels: 2, Pix: []float32{
		0, 1, 0.5, 0, 0.25, 0.25, 0.75, 0,
		1, 0, 0.5, 0, 0.25, 0.75, 0.25, 1,
	}}
	got, err := MeanPool(2).Apply(img)
	if err != nil || got.Height != 1 || got.Width != 2 || got.Channels != 2 ||
		!slices.Equal(got.Pix, []float32{0.5, 0.25, 0.375, 0.5}) {
		t.Errorf("of 2 x 2 pixels the means are %+v, %v", got, err)
	}
	if same, err := MeanPool(1).Apply(img); err != nil || !slices.Equal(same.Pix, img.Pix) {
		t.Errorf("means of one pixel are %+v, %v", same, err)
	}
	for side, of := range map[int]Image{
		3: {Height: 6, Width: 4, Channels: 1, Pix: make([]float32, 24)},
		2: {Height: 3, Width: 4, Channels: 1, Pix: make([]float32, 12)},
		4: img, 0: img, -1: img,
	} {
		if _, err := MeanPool(side).Apply(of); err == nil || !strings.Contains(err.Error(), "squares") {
			t.Errorf("squares of %d in %d x %d pixels: want an error, got %v", side, of.Height, of.Width, err)
		}
	}
}
