package data

import (
	"errors"
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

// Sixteen bits are 65,535 levels, as NumPy's uint16 divided by these.
func TestSixteenBitsAreKept(t *testing.T) {
	deep := image.NewGray16(image.Rect(0, 0, 3, 1))
	for x, v := range []uint16{0, 25701, 65535} {
		deep.SetGray16(x, 0, color.Gray16{Y: v})
	}
	d := must[*Dataset](t)(Folder(folder(t, map[string][]byte{"a.png": pngBytes(t, deep)}), Options{}))
	img := must[Image](t)(d.Image(0))
	if err := approx.All(img.Pix, []float64{0, 0, 0, 25701. / 65535, 25701. / 65535, 25701. / 65535, 1, 1, 1}, 1e-7); err != nil {
		t.Error(err)
	}
}

func TestGreyAndColourBecomeColour(t *testing.T) {
	for _, c := range []struct {
		channels  int
		pix, want []float32
	}{{1, []float32{0.5}, []float32{0.5, 0.5, 0.5}}, {3, []float32{0.1, 0.2, 0.3}, []float32{0.1, 0.2, 0.3}}, {4, []float32{0, 0, 0, 0}, nil}, {2, []float32{0, 0}, nil}} {
		got, err := RGB().Apply(Image{Height: 1, Width: 1, Channels: c.channels, Pix: c.pix})
		if c.want == nil {
			if err == nil || !strings.Contains(err.Error(), "neither grey nor RGB") {
				t.Errorf("of %d channels: %v", c.channels, err)
			}
		} else if err != nil || !slices.Equal(got.Pix, c.want) || got.Channels != 3 || got.Height != 1 || got.Width != 1 {
			t.Errorf("of %d channels: %+v (%v)", c.channels, got, err)
		}
	}
	if _, err := Grayscale().Apply(Image{Height: 1, Width: 1, Channels: 2, Pix: []float32{0, 0}}); err == nil {
		t.Error("an image of two channels has a grey")
	}
	if got, err := Grayscale().Apply(Image{Height: 1, Width: 1, Channels: 1, Pix: []float32{0.25}}); err != nil || !slices.Equal(got.Pix, []float32{0.25}) {
		t.Errorf("%+v (%v)", got, err)
	}
}

func TestAnImageIsShownInEightBits(t *testing.T) {
	for _, c := range []struct {
		channels int
		pix      []float32
		want     color.RGBA
	}{{3, []float32{0.2, 1.5, -1}, color.RGBA{51, 255, 0, 255}}, {1, []float32{0.999}, color.RGBA{255, 255, 255, 255}}} {
		pictures, _, err := Image{Height: 1, Width: 1, Channels: c.channels, Pix: c.pix}.Pictures(1)
		if err != nil || len(pictures) != 1 || pictures[0].At(0, 0) != color.Color(c.want) || pictures[0].Bounds() != image.Rect(0, 0, 1, 1) {
			t.Errorf("%v is shown as %v (%v)", c.pix, pictures, err)
		}
	}
	for _, bad := range []Image{
		{Height: 1, Width: 1, Channels: 2, Pix: make([]float32, 2)}, {Height: 1, Width: 1, Channels: 4, Pix: make([]float32, 4)}, {Height: 1, Width: 2, Channels: 3, Pix: make([]float32, 3)},
	} {
		if _, _, err := bad.Pictures(1); err == nil || !strings.Contains(err.Error(), "cannot be shown") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	images := tensors.FromFlatDataAndDimensions([]float32{0, 0.2, 0.4}, 3, 1, 1, 1)
	d := must[*Dataset](t)(FromTensor(images, []int{1, 0, -1}, []string{"cat", "dog"}))
	for most, want := range map[int][]string{2: {"dog", "cat"}, 9: {"dog", "cat", d.Name(2)}} {
		pictures, titles, err := d.Pictures(most)
		if err != nil || len(pictures) != len(want) || !slices.Equal(titles, want) {
			t.Errorf("the first %d are %v with the titles %v (%v)", most, pictures, titles, err)
		}
	}
}

// A loop over batches may be left, and an error comes once, as the last.
func TestALoopOverBatchesEnds(t *testing.T) {
	d := must[*Dataset](t)(FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, 6), 6, 1, 1, 1), nil, nil))
	seen := 0
	for _, err := range d.Batches(2) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("left after 2 batches, %d were seen", seen)
	}
	broken := errors.New("broken")
	fails := d.Map(Transform{"fails", func(Image) (Image, error) { return Image{}, broken }})
	var errs []error
	for _, err := range fails.Batches(4) {
		errs = append(errs, err)
	}
	if len(errs) != 1 || !errors.Is(errs[0], broken) {
		t.Errorf("the errors are %v", errs)
	}
}

// Up to three classes with names like the folder's are offered, the nearest first.
func TestClassesOfLikeNamesAreOffered(t *testing.T) {
	files := map[string][]byte{"cats/1.png": pngBytes(t, photo(4, 4))}
	_, err := Folder(folder(t, files), Options{Classes: []string{"cat", "bats", "rats", "hats", "mats", "zebra"}})
	if err == nil || strings.Count(err.Error(), " or ") != 2 || !strings.Contains(err.Error(), "cat") {
		t.Errorf("%v", err)
	}
}
