package learn

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/model"
)

// An Augmenter changes images by the seed, the same ones again to the bit, and is compiled once.
func TestAugmenter(t *testing.T) {
	images, _ := bars(6, 1)
	a, err := NewAugmenter(Crop{Padding: 2, Black: true}, Flip{}, Rotate{Degrees: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	of := func(seed uint64) []float32 {
		t.Helper()
		changed, err := a.Of(images, seed)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](changed)
	}
	first := of(1)
	before := model.Compilations()
	if !slices.Equal(of(1), first) || slices.Equal(of(2), first) ||
		slices.Equal(first, tensors.MustCopyFlatData[float32](images)) {
		t.Error("a seed does not change images in its own way")
	}
	if n := model.Compilations() - before; n != 0 {
		t.Errorf("%d programs are compiled again", n)
	}
	several, err := NewAugmenter(Views(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := several.Of(images, 1); err == nil || !strings.Contains(err.Error(), "leave Views out") {
		t.Errorf("two views: %v", err)
	}
}

// Turned images lie where a rotation by some angle within the limit puts them; by no degrees nothing moves, and by
// 180 at most each pixel is one of the image or black.
func TestRotate(t *testing.T) {
	const side = 9
	flat := make([]float32, 40*side*side)
	for i := range 40 {
		for x := range side {
			flat[(i*side+side/2)*side+x] = 1 // a line through the middle
		}
	}
	images := tensors.FromFlatDataAndDimensions(flat, 40, side, side, 1)
	turned := func(degrees float64) []float32 {
		t.Helper()
		a, err := NewAugmenter(Rotate{Degrees: degrees})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		out, err := a.Of(images, 3)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](out)
	}
	if err := approx.All(turned(0), flat, 0); err != nil {
		t.Error(err)
	}
	out := turned(45)
	up, down := 0, 0
	for i := range 40 {
		image := out[i*side*side : (i+1)*side*side]
		if image[side/2*side+side/2] != 1 {
			t.Fatalf("the middle of image %d has moved", i)
		}
		for x := range side { // where the line is at the right end, within 45 degrees
			if image[x*side+side-1] == 1 && x < side/2 {
				up++
			} else if image[x*side+side-1] == 1 && x > side/2 {
				down++
			}
		}
		for at, v := range image {
			if y, x := at/side-side/2, at%side-side/2; v == 1 && y*y > x*x+2*side {
				t.Fatalf("image %d was turned further than 45 degrees: there is a pixel %d down and %d right", i, y, x)
			}
		}
	}
	if up < 5 || down < 5 {
		t.Errorf("%d pixels of the right edge have gone up and %d down: it turns one way", up, down)
	}
}
