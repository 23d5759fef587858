package data

import (
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

const prepared = "testdata/prepare.npz"

// photographs are three of odd sides, with the sides that bench/oracles/prepare.py brought them to: the shorter one,
// and height and width cut out of the middle.
func photographs(t *testing.T) map[string]struct {
	Image
	to []int64
} {
	t.Helper()
	all := map[string]struct {
		Image
		to []int64
	}{}
	for name, size := range map[string][2]int{"wide": {97, 131}, "tall": {130, 93}, "square": {101, 101}} {
		img := Image{Height: size[0], Width: size[1], Channels: 3, Pix: oracle.Unit(oracle.Read[uint8](t, prepared, name))}
		all[name] = struct {
			Image
			to []int64
		}{img, oracle.Read[int64](t, prepared, name+"_size")}
	}
	return all
}

// wantLevels compares pixels with an oracle's, which are rounded to 8 bits.
func wantLevels(t *testing.T, what string, got Image, want []uint8, within float64) {
	t.Helper()
	levels := make([]float64, len(got.Pix))
	for i, v := range got.Pix {
		levels[i] = 255 * float64(v)
	}
	wanted := make([]float64, len(want))
	for i, v := range want {
		wanted[i] = float64(v)
	}
	if err := approx.All(levels, wanted, within); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// Pillow rounds to 8 bits after each of its two passes, so a level may be one and a bit off.
func TestPhotographsAreResizedAndCutAsTorchvisionDoes(t *testing.T) {
	for name, photo := range photographs(t) {
		resized := must[Image](t)(ResizeShorter(int(photo.to[0])).Apply(photo.Image))
		wantLevels(t, name+" resized", resized, oracle.Read[uint8](t, prepared, name+"_resized"), 1.1)
		cut := must[Image](t)(ResizeShorterBy(int(photo.to[0]), Bicubic).Apply(photo.Image))
		cut = must[Image](t)(CenterCrop(int(photo.to[1]), int(photo.to[2])).Apply(cut))
		wantLevels(t, name+" prepared", cut, oracle.Read[uint8](t, prepared, name+"_prepared"), 1.6)
	}
}

func TestGreyIsPillows(t *testing.T) {
	for name, photo := range photographs(t) {
		grey := must[Image](t)(Grayscale().Apply(photo.Image))
		if grey.Channels != 1 || grey.Height != photo.Height || grey.Width != photo.Width {
			t.Errorf("%s is %d x %d x %d", name, grey.Height, grey.Width, grey.Channels)
		}
		wantLevels(t, name, grey, oracle.Read[uint8](t, prepared, name+"_grey"), 0.51)
	}
}
