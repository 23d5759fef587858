package data

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
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
	if err := approx.All(img.Pix, []float64{0, 0, 0, 25701. / 65535, 25701. / 65535, 25701. / 65535, 1, 1, 1},
		1e-7); err != nil {
		t.Error(err)
	}
}

func TestGreyAndColourBecomeColour(t *testing.T) {
	for _, c := range []struct {
		channels  int
		pix, want []float32
	}{{1, []float32{0.5}, []float32{0.5, 0.5, 0.5}}, {3, []float32{0.1, 0.2, 0.3}, []float32{0.1, 0.2, 0.3}},
		{4, []float32{0, 0, 0, 0}, nil}, {2, []float32{0, 0}, nil}} {
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
	if got, err := Grayscale().Apply(Image{Height: 1, Width: 1, Channels: 1, Pix: []float32{0.25}}); err != nil ||
		!slices.Equal(got.Pix, []float32{0.25}) {
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
		if err != nil || len(pictures) != 1 || pictures[0].At(0, 0) != color.Color(c.want) ||
			pictures[0].Bounds() != image.Rect(0, 0, 1, 1) {
			t.Errorf("%v is shown as %v (%v)", c.pix, pictures, err)
		}
	}
	for _, bad := range []Image{
		{Height: 1, Width: 1, Channels: 2, Pix: make([]float32, 2)},
		{Height: 1, Width: 1, Channels: 4, Pix: make([]float32, 4)},
		{Height: 1, Width: 2, Channels: 3, Pix: make([]float32, 3)},
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
	p := image.NewPaletted(image.Rect(0, 0, 2, 1), color.Palette{color.RGBA{10, 20, 30, 255},
		color.RGBA{200, 100, 50, 255}})
	p.SetColorIndex(1, 0, 1)
	var file bytes.Buffer
	if err := gif.EncodeAll(&file, &gif.GIF{Image: []*image.Paletted{p, p}, Delay: []int{1, 1},
		LoopCount: 3}); err != nil {
		t.Fatal(err)
	}
	raw := file.Bytes()
	at := bytes.Index(raw, []byte{0x21, 0xf9, 4}) // the first frame's
	raw[at+3] |= 1                                // its colour 1 is transparent
	raw[at+6] = 1
	d := must[*Dataset](t)(Folder(folder(t, map[string][]byte{"a.gif": raw}), Options{}))
	img := must[Image](t)(d.Image(0))
	if err := approx.All(img.Pix, []float64{10. / 255, 20. / 255, 30. / 255, 200. / 255, 100. / 255, 50. / 255},
		1e-6); err != nil {
		t.Error(err)
	}
}

// An EXIF segment may say that it has more entries than it has, and an orientation that there is none of.
func TestBrokenExif(t *testing.T) {
	exif := func(entries uint16, tag, value uint16, rest ...byte) []byte {
		b := append([]byte("MM\x00*\x00\x00\x00\x08"), 0, byte(entries), byte(tag>>8), byte(tag), 0, 3, 0, 0, 0, 1,
			byte(value>>8), byte(value), 0, 0)
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
		if got := orientation(c.raw, "JPEG"); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	// Behind the start of the pixels there are no more segments, and before it there may be others, also with 0xda in
	// them, and the end.
	turned := exif(1, 0x0112, 6)
	for name, c := range map[string]struct {
		before string
		want   int
	}{
		"behind the pixels": {"\xff\xda\x00\x04\x00\x00", 1}, "behind a comment": {"\xff\xfe\x00\x03\xda", 6},
		"behind the end": {"\xff\xd9\x00\x02", 6}, "behind another": {"\xff\xdb\x00\x02", 6},
		"behind a segment of no length": {"\xff\xfe\x00\x01", 1}, "behind one that is too long": {"\xff\xfe\xff\xff", 1},
		"behind no segment": {"\xda\xfe\x00\x02", 1},
	} {
		raw := append([]byte("\xff\xd8"+c.before), turned[2:]...)
		if got := orientation(raw, "JPEG"); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// A chunk of odd length has a byte behind it.
func TestExifBehindAnOddChunk(t *testing.T) {
	tiff := "II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x08\x00\x00\x00"
	for _, odd := range []string{"ABCD\x03\x00\x00\x00abc\x00", "ABCD\x04\x00\x00\x00abcd", "ABCD\x00\x00\x00\x00", ""} {
		raw := "RIFF\x00\x00\x00\x00WEBP" + odd + "EXIF\x16\x00\x00\x00" + tiff
		if got := orientation([]byte(raw), "WebP"); got != 8 {
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
	coloured := Batch{Images: tensors.FromFlatDataAndDimensions([]float32{0, 0, 0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 0}, 2,
		2, 1, 3), Indices: []int{3, 4}}
	if pictures, titles, err := coloured.Pictures(2); err != nil || !slices.Equal(titles, []string{"3", "4"}) ||
		pictures[1].At(0, 1) != color.Color(color.RGBA{204, 255, 0, 255}) {
		t.Errorf("%v, %v (%v)", pictures, titles, err)
	}
	if pictures, titles, err := coloured.Pictures(1); err != nil || len(pictures) != 1 || len(titles) != 1 {
		t.Errorf("%v, %v (%v)", pictures, titles, err)
	}
	b := Batch{Images: tensors.FromFlatDataAndDimensions([]float32{0, 0.2, 0.4, 0.6, 0.8, 1}, 2, 1, 3, 1),
		Indices: []int{7, 9}}
	pictures, titles, err := b.Pictures(5)
	if err != nil || !slices.Equal(titles, []string{"7", "9"}) ||
		pictures[1].At(0, 0) != color.Color(color.RGBA{153, 153, 153, 255}) ||
		pictures[1].Bounds() != image.Rect(0, 0, 3, 1) {
		t.Errorf("%v, %v (%v)", pictures, titles, err)
	}
}

// NumPy wrote the archive: four images of 2 x 3 pixels, whose values are 0, 10, 20 and so on, and their labels.
func TestImagesAndLabelsOfNumPysArchive(t *testing.T) {
	d := must[*Dataset](t)(NPZ("testdata/edges.npz", "images", "labels", []string{"a", "b", "c"}))
	img := must[Image](t)(d.Image(3))
	if d.Len() != 4 || !slices.Equal(d.Labels(), []int{2, 0, 1, 2}) || d.ClassName(1) != "a" || img.Height != 2 ||
		img.Width != 3 || img.Channels != 1 || img.Pix[5] != 230./255 {
		t.Errorf("%v with the labels %v; the last image is %+v", d, d.Labels(), img)
	}
	_, err := NPZ("testdata/edges.npz", "images", "classes", nil)
	wantError(t, err, `no array "classes"`, "labels")
}

// 8 GB are the most that a file of bytes may claim, in whatever order its sides come and however large one is.
func TestTheSizeThatAnIDXFileMayClaim(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"most": idx(3, []uint32{1 << 31, 4, 1}, nil), "more": idx(3, []uint32{1 << 31, 4, 2}, nil),
		"last":    idx(3, []uint32{1 << 11, 1 << 11, 1<<11 + 1}, nil),
		"wrapped": idx(3, []uint32{1 << 31, 4, 1 << 31}, nil), "none": idx(3, []uint32{0, 28, 28}, nil),
		"labels": idx(1, []uint32{0}, nil),
		"header": idx(3, []uint32{2}, nil), "first": {1, 0, 8, 3}, "second": {0, 1, 8, 3}, "type": {0, 0, 9, 3},
		"rank": {0, 0, 8, 2}, "nothing": nil,
	})
	for name, want := range map[string]string{
		"most": "has 0 of 8589934592 values", "more": "more than 8 GB", "last": "more than 8 GB", "wrapped": "more than 8 GB",
		"none": "has no images", "header": "cut short in its header",
		"first": "not an IDX", "second": "not an IDX", "type": "not an IDX", "rank": "of bytes with 3 dimensions",
		"nothing": "not an IDX", "absent": "absent",
	} {
		_, err := IDX(filepath.Join(dir, name), filepath.Join(dir, "labels"), nil)
		wantError(t, err, want)
	}
}

// A record of CIFAR's binary version has its labels, then the red, the green and the blue plane; of the two labels of
// CIFAR-100 the second is the fine one: https://www.cs.toronto.edu/~kriz/cifar.html
func TestRecordsOfCIFAR(t *testing.T) {
	record := func(red, green, blue byte, labels ...byte) []byte {
		for i, v := range []byte{red, green, blue} {
			plane := bytes.Repeat([]byte{v}, 1024)
			plane[33] = byte(i + 1) // the second pixel of the second row
			labels = append(labels, plane...)
		}
		return labels
	}
	dir := folder(t, map[string][]byte{
		"one": append(record(51, 102, 153, 7), record(0, 255, 0, 2)...), "two": record(204, 0, 0, 9),
		"hundred": record(51, 102, 153, 19, 99), "none": nil,
	})
	ten := must[*Dataset](t)(CIFAR10(filepath.Join(dir, "one"), filepath.Join(dir, "two")))
	if ten.Len() != 3 || !slices.Equal(ten.Labels(), []int{7, 2, 9}) || ten.ClassName(0) != "horse" {
		t.Errorf("%v with the labels %v", ten, ten.Labels())
	}
	hundred := must[*Dataset](t)(CIFAR100(filepath.Join(dir, "hundred")))
	if hundred.Label(0) != 99 || hundred.ClassName(0) != "99" {
		t.Errorf("the label is %d, called %q", hundred.Label(0), hundred.ClassName(0))
	}
	for _, img := range []Image{must[Image](t)(ten.Image(0)), must[Image](t)(hundred.Image(0))} {
		at := (1*32 + 1) * 3
		if err := approx.All(slices.Concat(img.Pix[:3], img.Pix[at:at+3], img.Pix[3*1023:]),
			[]float64{.2, .4, .6, 1. / 255, 2. / 255, 3. / 255, .2, .4, .6}, 1e-6); err != nil || img.Height != 32 ||
			img.Width != 32 || img.Channels != 3 {
			t.Errorf("an image of %d x %d x %d: %v", img.Height, img.Width, img.Channels, err)
		}
	}
	if last := must[Image](t)(ten.Image(2)); last.Pix[0] != 204./255 || last.Pix[1] != 0 {
		t.Errorf("the last image begins with %v", last.Pix[:3])
	}
	_, err := CIFAR10(filepath.Join(dir, "none"))
	wantError(t, err, "0 bytes")
}

// A value may be as far outside of 0..1 as rounding brings it.
func TestFloatsALittleOutsideAreTaken(t *testing.T) {
	for v, fine := range map[float32]bool{-0.00009: true, -0.00011: false, 1.00009: true, 1.00011: false,
		float32(math.Inf(1)): false, float32(math.Inf(-1)): false} {
		d, err := FromTensor(tensors.FromFlatDataAndDimensions([]float32{0.5, 0.25, 0.5, 0.5, v, 0.5}, 3, 1, 2, 1), nil, nil)
		if fine {
			if img, err2 := d.Image(2); err != nil || err2 != nil || !slices.Equal(img.Pix, []float32{v, 0.5}) ||
				d.Label(2) != -1 || d.ClassName(2) != "" {
				t.Errorf("%v: %v", v, err)
			}
			continue
		}
		wantError(t, err, "image 2 of tensor has the value")
	}
	for _, bad := range []*tensors.Tensor{nil, tensors.FromFlatDataAndDimensions([]float32{0}, 1, 1, 1),
		tensors.FromFlatDataAndDimensions([]float64{0}, 1, 1, 1, 1)} {
		_, err := FromTensor(bad, nil, nil)
		wantError(t, err, "[N, H, W, C] float32")
	}
	_, err := FromTensor(tensors.FromFlatDataAndDimensions([]float32{0, 0, 0, 0, 0, float32(math.NaN())}, 2, 1, 3, 1), nil,
		nil)
	wantError(t, err, "image 1 of tensor has the value NaN at 2")
}

func TestLabelsAtTheirBounds(t *testing.T) {
	for label, fine := range map[int]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		_, err := FromTensor(tensors.FromFlatDataAndDimensions([]float32{0}, 1, 1, 1, 1), []int{label}, []string{"a", "b"})
		if (err == nil) != fine || err != nil && !strings.Contains(err.Error(), "the classes are 0 to 1") {
			t.Errorf("the label %d: %v", label, err)
		}
	}
	d := must[*Dataset](t)(FromTensor(tensors.FromFlatDataAndDimensions([]float32{0, 0}, 2, 1, 1, 1), []int{-1, 1}, nil))
	if _, err := d.WithClasses([]string{"a", "b"}); err != nil {
		t.Error(err)
	}
	_, err := d.WithClasses([]string{"a"})
	wantError(t, err, "image 1 of tensor has the label 1, and there are names for 0 to 0")
	for _, i := range []int{-1, 2} {
		_, err := d.Image(i)
		wantError(t, err, "has images 0 to 1, not")
		func() {
			defer func() {
				if said := fmt.Sprint(recover()); !strings.Contains(said, "has images 0 to 1, not") {
					t.Errorf("the label of image %d: %s", i, said)
				}
			}()
			d.Label(i)
		}()
	}
	_, err = d.Images()
	wantError(t, err, "no images of tensor were asked for")
}

// A seed draws the same in every version, by Go's PCG. A share is of every class, rounded: of three a half is two.
func TestDrawsOfImagesStayTheSame(t *testing.T) {
	labels := []int{0, 1, 0, 1, 1, 0, -1}
	d := must[*Dataset](t)(FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, 7), 7, 1, 1, 1), labels, nil))
	numbers := func(d *Dataset) (all []string) {
		for i := range d.Len() {
			all = append(all, strings.TrimPrefix(d.Name(i), "image "))
		}
		return all
	}
	want := []string{"0", "1", "2", "3", "4", "5", "6"}
	rand.New(rand.NewPCG(5, 0)).Shuffle(7, func(i, j int) { want[i], want[j] = want[j], want[i] })
	if got := numbers(d.Shuffle(5)); !slices.Equal(got, want) {
		t.Errorf("shuffled: %v, want %v", got, want)
	}
	first, second := d.Split(0.5, 5)
	var drawn []string
	for label, members := range map[uint64][]string{0: {"0", "2", "5"}, 1: {"1", "3", "4"}, math.MaxUint64: {"6"}} {
		rand.New(rand.NewPCG(5, label)).Shuffle(len(members), func(i, j int) {
			members[i], members[j] = members[j],
				members[i]
		})
		drawn = append(drawn, members[:(len(members)+1)/2]...)
	}
	slices.Sort(drawn)
	if got := numbers(first); !slices.Equal(got, drawn) {
		t.Errorf("the first part is %v, want %v", got, drawn)
	}
	if got := numbers(second); len(got) != 2 || slices.Contains(drawn, got[0]) || slices.Contains(drawn, got[1]) ||
		got[0] > got[1] {
		t.Errorf("the second part is %v", got)
	}
	for fraction, n := range map[float64]int{0: 0, 1: 7} {
		if first, second := d.Split(fraction, 1); first.Len() != n || second.Len() != 7-n {
			t.Errorf("split at %v: %d and %d", fraction, first.Len(), second.Len())
		}
	}
	for _, bad := range []float64{-0.01, 1.01, math.NaN()} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a split at %v", bad)
				}
			}()
			d.Split(bad, 1)
		}()
	}
}

func TestPartsOfADataset(t *testing.T) {
	d := must[*Dataset](t)(FromTensor(tensors.FromFlatDataAndDimensions([]float32{0, .1, .2, .3}, 4, 1, 1, 1),
		[]int{2, 0, 1, 2}, []string{"a", "b", "c"}))
	for n, want := range map[int]int{0: 0, 3: 3, 4: 4, 5: 4} {
		if got := d.Take(n).Len(); got != want {
			t.Errorf("the first %d are %d", n, got)
		}
	}
	for says, cut := range map[string]func(){
		"data: Take(-1) of tensor: a number of images is 0 or more": func() { d.Take(-1) },
		"data: Skip(-1) of tensor, which has 4 images":              func() { d.Skip(-1) },
		"data: Skip(5) of tensor, which has 4 images":               func() { d.Skip(5) },
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); p != says {
					t.Errorf("%s, want %s", p, says)
				}
			}()
			cut()
		}()
	}
	if n := d.Skip(4).Len(); n != 0 {
		t.Errorf("behind all of them are %d", n)
	}
	for _, shape := range [][]int{{2, 0, 3, 1}, {2, 3, 0, 1}, {2, 3, 3, 0}} {
		_, err := FromTensor(tensors.FromFlatDataAndDimensions([]float32{}, shape...), nil, nil)
		if err == nil || !strings.Contains(err.Error(), "the images of tensor have no pixels: they are") {
			t.Errorf("%v: %v", shape, err)
		}
	}
	if got := d.OfClass(2, 0, 2).Labels(); !slices.Equal(got, []int{2, 0, 2}) {
		t.Errorf("of three labels, one twice, there are %v", got)
	}
	if got := d.WithoutClass(2, 2).Labels(); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("without class 2 there are the labels %v", got)
	}
	for size, want := range map[int][]int{0: {1, 1, 1, 1}, 1: {1, 1, 1, 1}, 3: {3, 1}, 4: {4}} {
		var sizes []int
		c := d.Cursor(size)
		for {
			b, ok, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			sizes = append(sizes, len(b.Indices))
			if first := b.Indices[0]; b.Labels[0] != d.Label(first) ||
				tensors.MustCopyFlatData[float32](b.Images)[0] != float32(first)/10 {
				t.Errorf("a batch begins with %v, %v", b.Labels, b.Images)
			}
		}
		if !slices.Equal(sizes, want) {
			t.Errorf("batches of %d: %v, want %v", size, sizes, want)
		}
	}
	a, b, c := Transform{Name: "a", For: "m"}, Transform{Name: "b", For: "m"}, Transform{Name: "c"}
	mapped := d.Map(c, a).Map(b)
	for name, x := range map[string]struct {
		of   []Transform
		want bool
	}{"all": {[]Transform{c, a, b}, true}, "the last": {[]Transform{a, b}, true}, "the first": {[]Transform{c}, true},
		"backwards": {[]Transform{b, a}, false}, "more": {[]Transform{c, a, b, c}, false}, "none": {nil, true}} {
		if got := mapped.Mapped(x.of...); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if model, how := mapped.PreparedFor(); model != "m" || how != "a, b" {
		t.Errorf("prepared for %s by %s", model, how)
	}
	if model, how := mapped.Map(Transform{Name: "d", For: "n"}).PreparedFor(); model != "n" || how != "d" {
		t.Errorf("prepared for %s by %s", model, how)
	}
	if got, want := mapped.String(), "tensor: 4 images of 3 classes, c, a, b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A file that is cut short anywhere is an image as it is, or an error, and no panic; and so is one of nothing else than
// its EXIF's beginning.
func TestFilesCutShortAnywhere(t *testing.T) {
	d := must[*Dataset](t)(Zip("testdata/images.zip", Options{}))
	files := d.source.(*fileSource)
	for i, name := range files.names {
		raw := must[[]byte](t)(fs.ReadFile(files.files, name))
		whole := must[Image](t)(decode(bytes.Clone(raw), false, 0))
		for n := range min(len(raw), 300) {
			short := bytes.Clone(raw[:n:n])
			if img, err := decode(short, false, 0); err == nil && (img.Height*img.Width != whole.Height*whole.Width) {
				t.Errorf("%s cut to %d bytes is %d x %d", name, n, img.Height, img.Width)
			}
			for _, format := range []string{"JPEG", "PNG", "WebP", "TIFF"} {
				if got := orientation(raw[:n:n], format); got < 1 || got > 8 {
					t.Errorf("%s cut to %d bytes lies as %d", name, n, got)
				}
			}
		}
		if must[Image](t)(d.Image(i)).Height != whole.Height {
			t.Errorf("%s is another image when it is decoded again", name)
		}
	}
}

// An orientation counts as soon as it is there: it may be the last of the file, and behind other entries.
func TestAnOrientationAtTheEnd(t *testing.T) {
	entry := func(tag, value byte) string { return string([]byte{tag, 1, 3, 0, 1, 0, 0, 0, value, 0, 0, 0}) }
	for name, c := range map[string]struct {
		exif string
		want int
	}{
		"at the end":     {"II*\x00\x08\x00\x00\x00\x01\x00" + entry(0x12, 6)[:10], 6},
		"cut":            {"II*\x00\x08\x00\x00\x00\x01\x00" + entry(0x12, 6)[:9], 1},
		"third":          {"II*\x00\x08\x00\x00\x00\x03\x00" + entry(0x0f, 2) + entry(0x10, 3) + entry(0x12, 8), 8},
		"behind the end": {"II*\x00\x08\x00\x00\x00\x02\x00" + entry(0x0f, 2) + entry(0x10, 3) + entry(0x12, 8), 1},
		"further on":     {"II*\x00\x0a\x00\x00\x00\xff\xff\x01\x00" + entry(0x12, 3), 3},
		"far away":       {"II*\x00\xff\xff\xff\xff\x01\x00" + entry(0x12, 3), 1},
		"nowhere":        {"II*\x00\x08\x00\x00", 1},
	} {
		raw := "RIFF\x00\x00\x00\x00WEBPEXIF" + string([]byte{byte(len(c.exif)), 0, 0, 0}) + c.exif
		if got := orientation([]byte(raw), "WebP"); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestNotesNameThreeFilesAtMost(t *testing.T) {
	for n, want := range map[int]string{
		1: "left out 1 hidden folder (a)", 2: "left out 2 hidden folders (a, b)", 3: "left out 3 hidden folders (a, b, c)",
		4: "left out 4 hidden folders (a, b, c, …)",
	} {
		if got := leftOut("hidden folder", "hidden folders", []string{"a", "b", "c", "d"}[:n]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The number of a class is the first or the last in a file's name, be it as large as it likes.
func TestNumbersInNames(t *testing.T) {
	for name, want := range map[string][2]int{
		"0243_bull_mastiff.jpg": {243, 243}, "imagenet_00_243.jpg": {0, 243}, "x/7/a1b2c3.png": {1, 3}, "none.jpg": {-1, -1},
		"9/none.jpg": {-1, -1}, "v2.5": {2, 2},
		"99999999999999999999_1.png": {1 << 30, 1}, "1073741823.png": {1<<30 - 1, 1<<30 - 1}, "a09.gif": {9, 9},
	} {
		if got := [2]int{LeadingNumber(name), LastNumber(name)}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestOneFileOrSeveral(t *testing.T) {
	dir := folder(t, map[string][]byte{"a.png": pngBytes(t, photo(4, 4)), "b.PNG": pngBytes(t, photo(4, 4))})
	a, b := filepath.Join(dir, "a.png"), filepath.Join(dir, "b.PNG")
	if d := must[*Dataset](t)(Files(b)); d.Title() != b || !slices.Equal(d.Labels(), []int{-1}) {
		t.Errorf("one file: %v", d)
	}
	if d := must[*Dataset](t)(Files(a, b)); d.Title() != "2 files" || !slices.Equal(d.Labels(), []int{-1, -1}) {
		t.Errorf("two files: %v", d)
	}
}

// Every side of a crop that fits is taken, and one more is too large. Where the middle lies between two pixels, half a
// pixel is rounded to the even one, as torchvision does.
func TestCropsAtTheirBounds(t *testing.T) {
	img := Image{Height: 5, Width: 4, Channels: 1}
	for i := range 20 {
		img.Pix = append(img.Pix, float32(i))
	}
	for size, want := range map[[2]int][]float32{{5, 1}: {2, 6, 10, 14, 18}, {2, 4}: {8, 9, 10, 11, 12, 13, 14, 15},
		{1, 1}: {10}, {4, 2}: {1, 2, 5, 6, 9, 10, 13, 14}} {
		got, err := CenterCrop(size[0], size[1]).Apply(img)
		if err != nil || !slices.Equal(got.Pix, want) || got.Height != size[0] || got.Width != size[1] || got.Channels != 1 {
			t.Errorf("%v: %+v (%v)", size, got, err)
		}
	}
	for _, size := range [][2]int{{6, 4}, {5, 5}} {
		if _, err := CenterCrop(size[0], size[1]).Apply(img); err == nil ||
			!strings.Contains(err.Error(), "5 x 4 is too small") {
			t.Errorf("%v: %v", size, err)
		}
	}
	for _, size := range [][2]int{{0, 1}, {1, 0}} {
		if _, err := Resize(size[0], size[1]).Apply(img); err == nil || !strings.Contains(err.Error(), "cannot be") {
			t.Errorf("%v: %v", size, err)
		}
	}
	for _, channels := range []int{1, 2, 3, 4} {
		got, err := Resize(1, 1).Apply(Image{Height: 1, Width: 2, Channels: channels,
			Pix: slices.Repeat([]float32{0.5}, 2*channels)})
		if fine := channels == 1 || channels == 3; (err == nil) != fine || fine && (!approx.Equal(got.Pix[0], 0.5, 1e-4) ||
			len(got.Pix) != channels) {
			t.Errorf("%d channels: %+v (%v)", channels, got, err)
		}
	}
	// One side alone is another size.
	for _, size := range [][2]int{{5, 3}, {3, 4}} {
		small := Image{Height: 5, Width: 4, Channels: 1, Pix: make([]float32, 20)}
		if got := must[Image](t)(Resize(size[0], size[1]).Apply(small)); got.Height != size[0] || got.Width != size[1] ||
			len(got.Pix) != size[0]*size[1] {
			t.Errorf("%v: %d x %d", size, got.Height, got.Width)
		}
	}
	// The longer side is cut down to whole pixels.
	for _, c := range []struct{ height, width, wantHeight, wantWidth int }{{7, 10, 3, 4}, {10, 7, 4, 3}, {5, 5, 3, 3}} {
		got := must[Image](t)(ResizeShorter(3).Apply(Image{Height: c.height, Width: c.width, Channels: 1,
			Pix: make([]float32, c.height*c.width)}))
		if got.Height != c.wantHeight || got.Width != c.wantWidth {
			t.Errorf("%d x %d becomes %d x %d", c.height, c.width, got.Height, got.Width)
		}
	}
	names := ResizeBy(2, 3, Bicubic).Name + ", " + ResizeShorter(4).Name + ", " + CenterCrop(5, 6).Name + ", " +
		Grayscale().String()
	if want := "resize to 2 x 3, shorter side to 4, centre 5 x 6, grey"; names != want {
		t.Errorf("%q, want %q", names, want)
	}
}

// numpyFile is one by its header: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
func numpyFile(kind, shape string, fortran bool, values ...byte) []byte {
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': %v, 'shape': %s, }", kind,
		map[bool]string{true: "True", false: "False"}[fortran], shape)
	header += strings.Repeat(" ", 117-len(header)) + "\n"
	return append([]byte("\x93NUMPY\x01\x00\x76\x00"+header), values...)
}

func TestFilesOfNumPy(t *testing.T) {
	one, half := []byte{0, 0, 0x80, 0x3f}, []byte{0, 0, 0, 0x3f}
	dir := folder(t, map[string][]byte{
		"grey.npy": numpyFile("|u1", "(2, 1, 2)", false, 0, 51, 102, 255), "colour.npy": numpyFile("|u1", "(1, 1, 1, 3)",
			false, 51, 102, 255),
		"single.npy": numpyFile("<f4", "(1, 1, 2, 1)", false, append(one, half...)...),
		"double.npy": numpyFile("<f8", "(1, 1, 1)", false, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f),
		"labels.npy": numpyFile("<i8", "(2,)", false, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"column.npy": numpyFile("<i8", "(2, 1)", false, make([]byte, 16)...),
		"flat.npy":   numpyFile("|u1", "(2, 2)", false, 0, 0, 0, 0), "deep.npy": numpyFile("|u1", "(1, 1, 1, 1, 1)", false,
			0), "fortran.npy": numpyFile("|u1", "(1, 1, 2)", true, 0, 0),
		"integers.npy": numpyFile("<i4", "(1, 1, 1)", false, 0, 0, 0, 0), "short.npy": numpyFile("<f4", "(1, 1, 2)", false,
			one...), "far.npy": numpyFile("<f4", "(1, 1, 1)", false, 0, 0, 0, 0x40), "none.npy": []byte("none"),
	})
	read := func(images, labels string) (*Dataset, error) {
		if labels != "" {
			labels = filepath.Join(dir, labels)
		}
		return NPY(filepath.Join(dir, images), labels, nil)
	}
	for name, c := range map[string]struct {
		at                      int
		height, width, channels int
		pix                     []float32
	}{"grey.npy": {1, 1, 2, 1, []float32{0.4, 1}}, "colour.npy": {0, 1, 1, 3, []float32{0.2, 0.4, 1}},
		"single.npy": {0, 1, 2, 1, []float32{1, 0.5}}, "double.npy": {0, 1, 1, 1, []float32{0.5}}} {
		d, err := read(name, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if img := must[Image](t)(d.Image(c.at)); d.Len() != c.at+1 || img.Height != c.height || img.Width != c.width ||
			img.Channels != c.channels || !slices.Equal(img.Pix, c.pix) || d.Label(0) != -1 {
			t.Errorf("%s: %d images, the last %+v", name, d.Len(), img)
		}
	}
	if d := must[*Dataset](t)(read("grey.npy", "labels.npy")); !slices.Equal(d.Labels(), []int{1, 0}) {
		t.Errorf("the labels are %v", d.Labels())
	}
	for name, want := range map[string]string{
		"flat.npy": "have the shape [2 2]", "deep.npy": "have the shape [1 1 1 1 1]",
		"fortran.npy": "column by column (Fortran order)", "integers.npy": "are of type Int32", "short.npy": "cut short",
		"far.npy": "image 0 of", "none.npy": "is not a NumPy file", "absent.npy": "absent",
	} {
		_, err := read(name, "")
		wantError(t, err, want)
	}
	_, err := read("grey.npy", "column.npy")
	wantError(t, err, "the labels of", "have the shape [2 1], they are [N]")
	_, err = read("grey.npy", "single.npy")
	wantError(t, err, "the labels of")
	_, err = read("double.npy", "labels.npy")
	wantError(t, err, "has 1 images and 2 labels")
	_, err = read("grey.npy", "absent.npy")
	wantError(t, err, "absent")
	for name, n := range map[string]int{"grey.npy": 2, "colour.npy": 1} {
		if d := must[*Dataset](t)(Open(filepath.Join(dir, name))); d.Len() != n {
			t.Errorf("%s has %d images", name, d.Len())
		}
	}
	_, err = Open(filepath.Join(dir, "none"))
	wantError(t, err, "neither a path nor a dataset's name")
	_, err = Open(os.Args[0])
	wantError(t, err, "loupe opens images, folders")
}

// MNIST's format has an image's rows one after the other, H of them with W pixels.
func TestRowsOfAnIDXFile(t *testing.T) {
	dir := folder(t, map[string][]byte{"images": idx(3, []uint32{2, 1, 3}, []byte{0, 51, 102, 153, 204, 255}),
		"labels": idx(1, []uint32{2}, []byte{1, 0})})
	img := must[Image](t)(must[*Dataset](t)(IDX(filepath.Join(dir, "images"), filepath.Join(dir, "labels"), nil)).Image(1))
	if err := approx.All(img.Pix, []float64{0.6, 0.8, 1}, 1e-6); err != nil || img.Height != 1 || img.Width != 3 ||
		img.Channels != 1 {
		t.Errorf("%+v: %v", img, err)
	}
}

// A GIF may have a palette for each image and none for all.
func TestTransparentColoursOfAGIFWithAPaletteOfItsOwn(t *testing.T) {
	p := image.NewPaletted(image.Rect(0, 0, 2, 1), color.Palette{color.RGBA{10, 20, 30, 255},
		color.RGBA{200, 100, 50, 255}})
	p.SetColorIndex(1, 0, 1)
	var file bytes.Buffer
	if err := gif.Encode(&file, p, nil); err != nil {
		t.Fatal(err)
	}
	raw := file.Bytes()
	at := bytes.IndexByte(raw[19:], 0x2c) + 19 // behind the header and two colours for all is the image's descriptor
	own := slices.Concat(raw[:10], []byte{0x70, 0, 0}, []byte{0x21, 0xf9, 4, 1, 0, 0, 1, 0}, raw[at:at+9], []byte{0x80},
		raw[13:19], raw[at+10+6*int(raw[at+9]>>7):])
	img, err := decode(own, false, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(img.Pix, []float64{10. / 255, 20. / 255, 30. / 255, 200. / 255, 100. / 255, 50. / 255},
		1e-6); err != nil {
		t.Error(err)
	}
}

// A gzip file is unpacked by its name, and one that is cut short is named.
func TestPackedFiles(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(idx(1, []uint32{2}, []byte{1, 0}))
	z.Close()
	wrong := bytes.Clone(packed.Bytes())
	wrong[len(wrong)-8]++ // the sum of all bytes
	dir := folder(t, map[string][]byte{"images": idx(3, []uint32{2, 1, 1}, []byte{7, 8}), "labels.gz": packed.Bytes(),
		"plain.gz": idx(1, []uint32{2}, []byte{1, 0}), "more.gz": packed.Bytes()[:packed.Len()-9],
		"third": idx(1, []uint32{3}, []byte{1, 0, 1}), "long": idx(1, []uint32{2}, []byte{1, 0, 1}), "wrong.gz": wrong})
	if d := must[*Dataset](t)(IDX(filepath.Join(dir, "images"), filepath.Join(dir, "labels.gz"), nil)); !slices.Equal(
		d.Labels(), []int{1, 0}) || d.ClassName(0) != "1" || d.Title() != "images" {
		t.Errorf("%v", d)
	}
	for name, want := range map[string]string{"plain.gz": "is not a whole gzip file", "more.gz": "cut short",
		"wrong.gz": "cut short or damaged", "long": "has more than the 2 values", "third": "2 images and 3 labels"} {
		_, err := IDX(filepath.Join(dir, "images"), filepath.Join(dir, name), nil)
		wantError(t, err, want)
	}
}

// Damaged files are counted, and five of them named, on the standard error; all damaged are an error.
func TestDamagedFilesAreLeftOut(t *testing.T) {
	files := map[string][]byte{"a/good.png": pngBytes(t, photo(3, 3)), "b/good.png": pngBytes(t, photo(3, 3))}
	for i := range 3 {
		files[fmt.Sprintf("a/%d.png", i)] = []byte("none")
	}
	said := func() string {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		stderr := os.Stderr
		os.Stderr = w
		defer func() { os.Stderr = stderr }()
		more := maps.Clone(files)
		for i := range 3 {
			more[fmt.Sprintf("a/%d.png", 3+i)] = []byte("none")
		}
		must[*Dataset](t)(Folder(folder(t, more), Options{OnBad: Skip}))
		w.Close()
		return string(must[[]byte](t)(io.ReadAll(r)))
	}()
	if one := must[*Dataset](t)(Folder(folder(t, map[string][]byte{"1.png": pngBytes(t, photo(3, 3)), "2.png": nil}),
		Options{OnBad: Skip})); !strings.Contains(one.String(), "(1 damaged files skipped)") {
		t.Errorf("%v", one)
	}
	if !strings.Contains(said, "loupe: skipped 6 of 8 images of ") ||
		strings.Count(said, ": the file is not an image") != 5 || !strings.Contains(said, "a/4.png") ||
		strings.Contains(said, "a/5.png") {
		t.Errorf("said: %s", said)
	}
	d := must[*Dataset](t)(Folder(folder(t, files), Options{OnBad: Skip}))
	if d.Len() != 2 || !slices.Equal(d.Labels(), []int{0, 1}) || len(d.Skipped()) != 3 ||
		!strings.HasPrefix(d.Skipped()[2], "a/2.png: ") || !strings.Contains(d.String(), "(3 damaged files skipped)") {
		t.Errorf("%v: %v", d, d.Skipped())
	}
	_, err := Folder(folder(t, map[string][]byte{"a/1.png": nil, "a/2.png": nil}), Options{OnBad: Skip})
	wantError(t, err, "all 2 images of", "the first is a/1.png")
	_, err = Folder(os.Args[0], Options{})
	wantError(t, err, "is a file, not a folder")
	d = must[*Dataset](t)(Folder(folder(t, map[string][]byte{"1_a.png": pngBytes(t, photo(3, 3)), "7_b.png": nil}),
		Options{Label: LeadingNumber, Classes: digits}))
	if !slices.Equal(d.Labels(), []int{1, 7}) || d.ClassName(1) != "7" || d.Notes() != nil {
		t.Errorf("%v: %v, %v", d, d.Labels(), d.Notes())
	}
	_, err = Folder(folder(t, map[string][]byte{"1_a.png": nil}), Options{Label: LeadingNumber, Classes: digits[:1]})
	wantError(t, err, "1_a.png", "the label 1, and the classes are 0 to 0")
}

// Images of another height, width or number of channels than the first are named with theirs.
func TestImagesOfSeveralSizes(t *testing.T) {
	for name, other := range map[string]Image{
		"4 x 2 x 1": {Height: 4, Width: 2, Channels: 1, Pix: make([]float32, 8)},
		"3 x 1 x 1": {Height: 3, Width: 1, Channels: 1, Pix: make([]float32, 3)},
		"3 x 2 x 3": {Height: 3, Width: 2, Channels: 3, Pix: make([]float32, 18)},
	} {
		s := &fixed{[]Image{{Height: 3, Width: 2, Channels: 1, Pix: make([]float32, 6)}, other}}
		two := must[*Dataset](t)(newDataset("two", s, nil))
		_, err := two.Images(0, 1)
		wantError(t, err, "of 0 is 3 x 2 x 1 and of 1 is "+name)
		if all := must[*tensors.Tensor](t)(two.Images(1, 1)); !slices.Equal(all.Shape().Dimensions,
			[]int{2, other.Height, other.Width, other.Channels}) {
			t.Errorf("%s", all.Shape())
		}
	}
}

// fixed is a source of images that are at hand.
type fixed struct{ images []Image }

func (f *fixed) len() int                   { return len(f.images) }
func (f *fixed) name(i int) string          { return fmt.Sprint("of ", i) }
func (f *fixed) label(i int) int            { return -1 }
func (f *fixed) image(i int) (Image, error) { return f.images[i], nil }
