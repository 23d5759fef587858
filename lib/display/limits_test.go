package display

import (
	"image"
	"image/color"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/plot"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/mime"
)

func TestNilIsShownAsText(t *testing.T) {
	for _, v := range []any{nil, (*plot.Plot)(nil), (*tensors.Tensor)(nil), (*Table)(nil), (*image.RGBA)(nil)} {
		if got := BundleOf(v).Data[mime.Text]; got != "<nil>" {
			t.Errorf("%T shows %q", v, got)
		}
		if _, err := Picture(v); err == nil || !strings.Contains(err.Error(), "nil") {
			t.Errorf("saving %T: %v", v, err)
		}
	}
}

func TestImagesAreShownAtASizeToLookAt(t *testing.T) {
	for _, c := range []struct{ width, height, shown int }{
		{8, 4, 160}, {60, 60, 120}, {64, 64, 128}, {300, 200, 300}, {640, 10, 640}, {900, 30, 450}, {3000, 20, 640},
	} {
		img := image.NewRGBA(image.Rect(0, 0, c.width, c.height))
		b := BundleOf(img)
		if got := decoded(t, b).Bounds().Dx(); got != c.shown*2 && got != c.shown {
			t.Errorf("%d x %d has %d pixels in a row", c.width, c.height, got)
		}
		meta := b.Metadata[mime.PNG]
		if meta == nil {
			meta = b.Metadata[mime.JPEG]
		}
		if meta["width"] != c.shown {
			t.Errorf("%d x %d is shown %v wide, want %d", c.width, c.height, meta["width"], c.shown)
		}
		// As a picture it is what it was.
		if whole, err := Picture(img); err != nil || whole.Bounds().Size() != image.Pt(c.width, c.height) {
			t.Errorf("the picture of %d x %d is %v: %v", c.width, c.height, whole.Bounds(), err)
		}
	}
}

// What has the methods of an image for other reasons is text, and an image may be of any size.
func TestOnlyPicturesAreShownAsPictures(t *testing.T) {
	type box struct {
		image.Rectangle
		name string
	}
	for want, v := range map[string]any{
		"(0,0)-(640,480)":        image.Rect(0, 0, 640, 480),
		"(0,0)-(2,2)":            []image.Rectangle{image.Rect(0, 0, 2, 2)},
		"(0,0)-(3,3)":            box{image.Rect(0, 0, 3, 3), "b"},
		"(3,4)":                  image.Pt(3, 4),
		"&{C:{Y:65535}}":         image.White,
		"&{C:{R:1 G:2 B:3 A:4}}": image.NewUniform(color.RGBA{1, 2, 3, 4}),
		"{R:1 G:2 B:3 A:4}":      color.RGBA{1, 2, 3, 4},
		"[(0,0)-(2,2)]":          []image.Image{image.Rect(0, 0, 2, 2)},
	} {
		if b := BundleOf(v); b.Data[mime.Text] != want || len(b.Data) != 1 {
			t.Errorf("%T is shown as %q in %d forms, want %s", v, b.Data[mime.Text], len(b.Data), want)
		}
		if TextOf(v) != want {
			t.Errorf("%T says %q, want %s", v, TextOf(v), want)
		}
		if _, err := Picture(v); err == nil {
			t.Errorf("%T has a picture", v)
		}
	}
	table := Table{}
	table.Add(image.Rect(0, 0, 2, 2), image.White)
	if b := table.Bundle(); strings.Contains(b.Data[mime.HTML], "<img") {
		t.Error("a table shows a rectangle as a picture")
	}
	large := wide{}
	b := BundleOf(large)
	if TextOf(large) != "<image 50000 x 20000>" || decoded(t, b).Bounds().Size() != image.Pt(1280, 512) {
		t.Errorf("an image of 10⁹ pixels: %s, %v", TextOf(large), decoded(t, b).Bounds())
	}
	if r, _, _, _ := decoded(t, b).At(1279, 0).RGBA(); r < 0xf000 {
		t.Error("its right end is not white")
	}
}

// wide is an image that gets lighter to the right.
type wide struct{}

func (wide) ColorModel() color.Model { return color.GrayModel }
func (wide) Bounds() image.Rectangle { return image.Rect(-10_000, 7, 40_000, 20_007) }
func (wide) At(x, y int) color.Color { return color.Gray{uint8((x + 10_000) * 255 / 49_999)} }

// An image without pixels must neither cover its neighbours nor take gigabytes.
func TestEmptyImages(t *testing.T) {
	red := image.NewRGBA(image.Rect(0, 0, 4, 4))
	for i := range red.Pix {
		red.Pix[i] = []uint8{255, 0, 0, 255}[i%4]
	}
	empty := image.NewRGBA(image.Rectangle{})
	img := Gallery([]image.Image{red, empty}).Draw()
	if got := img.At(40, 40); got != (color.RGBA{255, 0, 0, 255}) {
		t.Errorf("the image beside an empty one is %v", got)
	}
	table := Table{}
	table.Add(empty)
	if n := len(table.Bundle().Data[mime.HTML]); n > 10000 {
		t.Errorf("an empty image in a table takes %d bytes", n)
	}
	if text := BundleOf(empty).Data[mime.Text]; text != "<image 0 x 0>" {
		t.Errorf("an empty image shows %q", text)
	}
}

func TestLongBatchesShowTheirHead(t *testing.T) {
	b := BundleOf(tensors.FromFlatDataAndDimensions(make([]float32, 45*8*8), 45, 8, 8, 1))
	if text := b.Data[mime.Text]; !strings.Contains(text, "first 40 of 45") {
		t.Errorf("45 images say %q", text)
	}
	gone := tensors.FromValue([]float32{1})
	if err := gone.FinalizeAll(); err != nil {
		t.Fatal(err)
	}
	if text := BundleOf(gone).Data[mime.Text]; !strings.HasPrefix(text, "display: the tensor holds nothing") {
		t.Errorf("a finalized tensor shows %q", text)
	}
}

func TestWhatIsNoImageSaysSo(t *testing.T) {
	for _, v := range []any{Gallery(3), Gallery([]any{(*tensors.Tensor)(nil)}), Gallery(Lines{})} {
		if b := BundleOf(v); !strings.HasPrefix(b.Data[mime.Text], "display: ") || len(b.Data) != 1 {
			t.Errorf("shows %q with %d forms", b.Data[mime.Text], len(b.Data))
		}
		if _, err := Picture(v); err == nil || !strings.HasPrefix(err.Error(), "display: ") {
			t.Errorf("saving it: %v", err)
		}
	}
	if _, err := Picture(Lines{}); err == nil || !strings.Contains(err.Error(), "no series") {
		t.Errorf("saving a plot that cannot be made: %v", err)
	}
}

func TestHeatmapsTakeTheSizeOfTheirImage(t *testing.T) {
	photo := image.NewRGBA(image.Rect(10, 20, 90, 60)) // bounds need not begin at 0
	values := make([]float32, 4)
	values[3] = 1
	img, err := Heatmap(photo, values, 2, 2, true)
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, 80, 40) {
		t.Fatalf("bounds %v", img.Bounds())
	}
	if in := img.At(79, 39).(color.RGBA); in.R < 90 || in.B > 60 {
		t.Errorf("the corner with the value is %v", in)
	}
	if out := img.At(0, 0).(color.RGBA); out.R != out.G || out.G != out.B {
		t.Errorf("the corner without is %v", out)
	}
}

func TestOverlayNamesWhatIsWrong(t *testing.T) {
	heat := tensors.FromValue([][]float32{{1, -2}, {3, 4}})
	for want, o := range map[string]Overlay{
		"has no heatmap":               {},
		"has the value -2":             {Heat: heat, Unsigned: true},
		"percentile 120":               {Heat: heat, Percentile: 120},
		"a string is not an image":     {Heat: heat, Over: "x"},
		"has 2 images":                 {Heat: heat, Over: tensors.FromFlatDataAndDimensions(make([]float32, 8), 2, 2, 2, 1)},
		"one for each image, not":      {Heat: tensors.FromFlatDataAndDimensions(make([]float32, 8), 2, 2, 2)},
		"value NaN at row 0, column 1": {Heat: tensors.FromValue([][]float32{{1, float32(math.NaN())}})},
	} {
		if got := o.Bundle().Data[mime.Text]; !strings.HasPrefix(got, "display: ") || !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if _, err := o.Picture(); err == nil {
			t.Errorf("%q is no error of Picture", want)
		}
	}
	// All zeros have no scale; they show the image and nothing else.
	img, err := Overlay{Heat: tensors.FromValue([][]float32{{0, 0}, {0, 0}})}.Picture()
	if err != nil {
		t.Fatal(err)
	}
	if c := img.At(0, 0).(color.RGBA); c.R != c.G || c.G != c.B {
		t.Errorf("a zero is %v", c)
	}
}

func TestWrappingLosesNothing(t *testing.T) {
	length := func(s string) int { return len([]rune(s)) }
	for _, text := range []string{"a few short words", "unbreakableandlong", "x\ny z", "ein Dackel über alles", ""} {
		lines := wrap(text, 6, length)
		if got, want := strings.Join(lines, ""), strings.NewReplacer(" ", "", "\n", "").Replace(text); strings.ReplaceAll(got,
			" ", "") != want {
			t.Errorf("%q became %q", text, lines)
		}
		for _, line := range lines {
			if length(line) > 6 {
				t.Errorf("%q of %q is too long", line, text)
			}
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"}, {1, 5, "1 2 3 4 5"}, {-3, 3, "-3 -2 -1 0 1 2 3"}, {0, 64, "0 20 40 60"},
		{1e6, 7e6, "1e+06 2e+06 3e+06 4e+06 5e+06 6e+06 7e+06"}, {3, 3, "3"},
	} {
		var got []string
		for _, tick := range (ticks{}).Ticks(c.low, c.high) {
			got = append(got, tick.Label)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v to %v: %v, want %s", c.low, c.high, got, c.want)
		}
	}
}

// The values are those of scipy: stats.linregress, and stats.t.ppf(0.975, n-2) * s * sqrt(1/n + (x-mean)²/Sxx).
func TestFittedLineAndItsBand(t *testing.T) {
	fit, err := leastSquares([]float64{0.1, 0.4, 0.5, 0.9, 1.3, 1.7}, []float64{0.32, 0.45, 0.61, 0.70, 1.21, 1.30})
	if err != nil {
		t.Fatal(err)
	}
	_, atEnd := fit.at(0.1)
	_, atMiddle := fit.at(1.0)
	for i, c := range [][2]float64{{fit.intercept, 0.23141935483870957}, {fit.slope, 0.6533640552995392},
		{atEnd, 0.1811951937599221}, {atMiddle, 0.11616900588181071}} {
		if !approx.Equal(c[0], c[1], 1e-10) {
			t.Errorf("value %d is %v, scipy says %v", i, c[0], c[1])
		}
	}
}

// JPEG would blur the letters and thin lines of a plot.
func TestPlotsAreLossless(t *testing.T) {
	for name, v := range samples(t) {
		_, ours := v.(chart)
		if b := BundleOf(v); ours && (b.Data[mime.PNG] == "" || b.Data[mime.JPEG] != "") {
			t.Errorf("%s is not shown as PNG", name)
		}
	}
	if b := BundleOf(plot.New()); b.Data[mime.PNG] == "" {
		t.Error("a *plot.Plot is not shown as PNG")
	}
}
