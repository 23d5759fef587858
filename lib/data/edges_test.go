package data

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/gif"
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
	fails := d.Map(Transform{Name: "fails", Apply: func(Image) (Image, error) { return Image{}, broken }})
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

// Where a transparent colour is marked behind another extension, as in a GIF that repeats, the palette's colour stays
// too, as Pillow's convert("RGB") has it.
func TestTransparentColoursOfAGIFThatRepeatsStay(t *testing.T) {
	p := image.NewPaletted(image.Rect(0, 0, 2, 1), color.Palette{color.RGBA{10, 20, 30, 255}, color.RGBA{200, 100, 50, 255}})
	p.SetColorIndex(1, 0, 1)
	var file bytes.Buffer
	if err := gif.EncodeAll(&file, &gif.GIF{Image: []*image.Paletted{p, p}, Delay: []int{1, 1}, LoopCount: 3}); err != nil {
		t.Fatal(err)
	}
	raw := file.Bytes()
	at := bytes.Index(raw, []byte{0x21, 0xf9, 4}) // the first frame's
	raw[at+3] |= 1                                // its colour 1 is transparent
	raw[at+6] = 1
	d := must[*Dataset](t)(Folder(folder(t, map[string][]byte{"a.gif": raw}), Options{}))
	img := must[Image](t)(d.Image(0))
	if err := approx.All(img.Pix, []float64{10. / 255, 20. / 255, 30. / 255, 200. / 255, 100. / 255, 50. / 255}, 1e-6); err != nil {
		t.Error(err)
	}
}

// An EXIF segment may say that it has more entries than it has, and an orientation that there is none of.
func TestBrokenExif(t *testing.T) {
	exif := func(entries uint16, tag, value uint16, rest ...byte) []byte {
		b := append([]byte("MM\x00*\x00\x00\x00\x08"), 0, byte(entries), byte(tag>>8), byte(tag), 0, 3, 0, 0, 0, 1, byte(value>>8), byte(value), 0, 0)
		b = append(b, rest...)
		return append(append([]byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(8 + len(b))}, "Exif\x00\x00"...), b...)
	}
	for name, c := range map[string]struct {
		raw  []byte
		want int
	}{
		"turned": {exif(1, 0x0112, 6), 6}, "mirrored": {exif(1, 0x0112, 8), 8}, "upright": {exif(1, 0x0112, 1), 1},
		"0": {exif(1, 0x0112, 0), 1}, "9": {exif(1, 0x0112, 9), 1}, "another tag": {exif(1, 0x0113, 6), 1},
		"too few entries": {exif(9, 0x0113, 6), 1}, "a part of an entry": {exif(9, 0x0113, 6, 1, 0x12, 0), 1},
	} {
		if got := orientation(c.raw, "jpeg"); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// A chunk of odd length has a byte behind it.
func TestExifBehindAnOddChunk(t *testing.T) {
	tiff := "II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x08\x00\x00\x00"
	for _, odd := range []string{"ABCD\x03\x00\x00\x00abc\x00", "ABCD\x04\x00\x00\x00abcd", "ABCD\x00\x00\x00\x00", ""} {
		raw := "RIFF\x00\x00\x00\x00WEBP" + odd + "EXIF\x16\x00\x00\x00" + tiff
		if got := orientation([]byte(raw), "webp"); got != 8 {
			t.Errorf("behind %q: %d, want 8", odd, got)
		}
	}
}

// White stays white.
func TestResizedWhiteIsWhite(t *testing.T) {
	white := Image{Height: 4, Width: 5, Channels: 1, Pix: slices.Repeat([]float32{1}, 20)}
	for _, by := range []Interpolation{Bilinear, Bicubic} {
		got := must[Image](t)(ResizeBy(3, 7, by).Apply(white))
		if err := approx.All(got.Pix, slices.Repeat([]float32{1}, 21), 0); err != nil {
			t.Error(err)
		}
	}
}

func TestABatchIsShownImageByImage(t *testing.T) {
	b := Batch{Images: tensors.FromFlatDataAndDimensions([]float32{0, 0.2, 0.4, 0.6, 0.8, 1}, 2, 1, 3, 1), Indices: []int{7, 9}}
	pictures, titles, err := b.Pictures(5)
	if err != nil || !slices.Equal(titles, []string{"7", "9"}) || pictures[1].At(0, 0) != color.Color(color.RGBA{153, 153, 153, 255}) || pictures[1].Bounds() != image.Rect(0, 0, 3, 1) {
		t.Errorf("%v, %v (%v)", pictures, titles, err)
	}
}

// NumPy wrote the archive: four images of 2 x 3 pixels, whose values are 0, 10, 20 and so on, and their labels.
func TestImagesAndLabelsOfNumPysArchive(t *testing.T) {
	d := must[*Dataset](t)(NPZ("testdata/edges.npz", "images", "labels", []string{"a", "b", "c"}))
	img := must[Image](t)(d.Image(3))
	if d.Len() != 4 || !slices.Equal(d.Labels(), []int{2, 0, 1, 2}) || d.ClassName(1) != "a" || img.Height != 2 || img.Width != 3 || img.Channels != 1 || img.Pix[5] != 230./255 {
		t.Errorf("%v with the labels %v; the last image is %+v", d, d.Labels(), img)
	}
	_, err := NPZ("testdata/edges.npz", "images", "classes", nil)
	wantError(t, err, `no array "classes"`, "labels")
}
