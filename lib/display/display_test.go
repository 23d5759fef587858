package display

import (
	"errors"
	"image"
	"image/color"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/picture"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/sink"
)

func decoded(t *testing.T, b mime.Bundle) image.Image {
	t.Helper()
	img, _, err := image.Decode(strings.NewReader(b.Data[mime.PNG] + b.Data[mime.JPEG]))
	if err != nil {
		t.Fatalf("%v in %q", err, b.Data[mime.Text])
	}
	return img
}

func TestEveryPictureIsSharpAndHasItsSize(t *testing.T) {
	for name, v := range samples(t) {
		b := BundleOf(v)
		if b.Data[mime.Text] == "" {
			t.Errorf("%s has no text form", name)
		}
		if name == "table" {
			continue
		}
		size := decoded(t, b).Bounds().Size()
		meta := b.Metadata[mime.PNG]
		if meta == nil {
			meta = b.Metadata[mime.JPEG]
		}
		if meta["width"] != size.X/2 || meta["height"] != size.Y/2 {
			t.Errorf("%s has %v pixels and says %v: not twice the screen's", name, size, meta)
		}
		if bytes := len(b.Data[mime.PNG]) + len(b.Data[mime.JPEG]); bytes > 200<<10 {
			t.Errorf("%s takes %d KB", name, bytes>>10)
		}
	}
}

func TestPlotsAlsoComeAsSVG(t *testing.T) {
	b, err := SVG(samples(t)["lines"])
	if err != nil || !strings.Contains(b.Data[mime.SVG], "<svg") || !strings.Contains(b.Data[mime.SVG], "severity") {
		t.Errorf("SVG: %v %.80s", err, b.Data[mime.SVG])
	}
	if _, err := SVG(3); err == nil {
		t.Error("SVG of a number is no error")
	}
}

// Both maps must grow evenly: in the sequential one the lightness rises all the way, in the diverging one it
// rises to the middle and falls again, the same on both sides.
func TestColorMapsGrowEvenly(t *testing.T) {
	lightness := func(c color.RGBA) float64 {
		return 0.2126*math.Pow(float64(c.R)/255, 2.2) + 0.7152*math.Pow(float64(c.G)/255, 2.2) +
			0.0722*math.Pow(float64(c.B)/255, 2.2)
	}
	for i := 1; i <= 100; i++ {
		v, before := float64(i)/100, float64(i-1)/100
		if !(lightness(Sequential.At(v)) > lightness(Sequential.At(before))) {
			t.Errorf("Sequential gets darker at %v", v)
		}
		if rises := lightness(Diverging.At(v)) > lightness(Diverging.At(before)); rises != (v <= 0.5) {
			t.Errorf("Diverging at %v: lighter is %t", v, rises)
		}
	}
	if Sequential.At(-3) != Sequential.At(0) || Diverging.At(7) != Diverging.At(1) {
		t.Error("values outside have not the colour of the end")
	}
}

func TestHeatmapIsSymmetricAboutZero(t *testing.T) {
	values := make([]float32, 400)
	for i := range values {
		values[i] = float32(i%3) - 1
	}
	img, err := Heatmap(nil, values, 20, 20, true)
	if err != nil {
		t.Fatal(err)
	}
	against, zero, in := img.At(0, 0).(color.RGBA), img.At(1, 0).(color.RGBA), img.At(2, 0).(color.RGBA)
	if against.B <= against.R || in.R <= in.B || zero.R != zero.G || zero.G != zero.B {
		t.Errorf("against %v, zero %v, for %v", against, zero, in)
	}
	// One enormous value must not make the rest vanish.
	values[0] = 1e6
	again, err := Heatmap(nil, values, 20, 20, true)
	if err != nil {
		t.Fatal(err)
	}
	if again.At(2, 0) != img.At(2, 0) {
		t.Errorf("an outlier changes the colour of 1 from %v to %v", img.At(2, 0), again.At(2, 0))
	}
}

func TestImagesKeepTheirPixels(t *testing.T) {
	x := tensors.FromFlatDataAndDimensions([]float32{0, 0.5, 1, 1, 1, 1, 0.2, 0.2, 0.2, 0, 0, 0}, 1, 2, 2, 3)
	images, err := Images(x)
	if err != nil {
		t.Fatal(err)
	}
	if got := images[0].At(0, 0); got != (color.RGBA{0, 128, 255, 255}) {
		t.Errorf("pixel = %v", got)
	}
	// Small images are enlarged without blur.
	big := picture.Resized(images[0], 64)
	if big.At(0, 0) != big.At(31, 31) || big.At(32, 0) != (color.RGBA{255, 255, 255, 255}) {
		t.Error("an enlarged pixel is not flat")
	}
}

func TestBadInputIsNamed(t *testing.T) {
	nan := float32(math.NaN())
	for want, v := range map[string]any{
		"a plot of lines has no series": Lines{},
		"2 x values and 1 y values":     Lines{Series: []Series{{Name: "a", X: []float64{1, 2}, Y: []float64{1}}}},
		"the point (1, NaN) at 0":       Lines{Series: []Series{{Name: "a", X: []float64{1}, Y: []float64{math.NaN()}}}},
		"3 bars have 1 names":           Bars{Names: []string{"a"}, Values: []float64{1, 2, 3}},
		"has 0 names and 0 series":      Boxes{},
		"boxes \"a\" are 1 for 2 names": Boxes{Names: []string{"x", "y"},
			Series: []BoxSeries{{Name: "a", Values: [][]float64{{1}}}}},
		"value 1 of the box \"a\" at": Boxes{Names: []string{"x"},
			Series: []BoxSeries{{Name: "a", Values: [][]float64{{1, math.NaN()}}}}},
		"plot of boxes has no values": Boxes{Names: []string{"x"},
			Series: []BoxSeries{{Name: "a", Values: [][]float64{nil}}}},
		"confidence 1 is 1.5":           Reliability{Confidences: []float64{.5, 1.5}, Correct: []bool{true, true}},
		"row 0 of the confusion matrix": Confusion{Counts: [][]float64{{1, 2}, {1}}[:1]},
		"a histogram has no values":     Histogram{},
		"it takes three points":         Scatter{Xs: []float64{1, 2}, Ys: []float64{1, 2}, Fit: true},
		"has 1 groups: give one for":    Scatter{Xs: []float64{1, 2}, Ys: []float64{1, 2}, Groups: []int{0}},
		"point 1 of a scatter plot is":  Scatter{Xs: []float64{1, 2}, Ys: []float64{1, 2}, Groups: []int{0, 5}},
	} {
		if got := BundleOf(v).Data[mime.Text]; !strings.Contains(got, want) || !strings.HasPrefix(got, "display: ") {
			t.Errorf("%T shows %q, want %q", v, got, want)
		}
	}
	for want, call := range map[string]func() error{
		"has the value NaN at row 1, column 0": func() error {
			_, err := Heatmap(nil, []float32{1, 2, nan, 3}, 2, 2,
				true)
			return err
		},
		"has 3 values": func() error { _, err := Heatmap(nil, []float32{1, 2, 3}, 2, 2, true); return err },
		"images are in 0..1": func() error {
			_, err := Images(tensors.FromFlatDataAndDimensions([]float32{0, 200, 0}, 1, 1, 1, 3))
			return err
		},
		"[N, H, W, C] float32": func() error { _, err := Images(tensors.FromValue([]float32{1})); return err },
		"has no picture":       func() error { _, err := Picture(3); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want %q", err, want)
		}
	}
}

func TestTableEscapesText(t *testing.T) {
	b := BundleOf(samples(t)["table"])
	if page := b.Data[mime.HTML]; strings.Contains(page, "<b>coach") || !strings.Contains(page, "&lt;b&gt;coach") ||
		!strings.Contains(page, "data:image/png;base64,") || !strings.Contains(page, "64.0%") {
		t.Errorf("HTML: %.600s", page)
	}
	if text := b.Data[mime.Text]; !strings.Contains(text, "Great Dane") || !strings.Contains(text, "probability") ||
		!strings.Contains(text, "5.2%") {
		t.Errorf("text: %s", text)
	}
}

func TestTensorsShowThemselves(t *testing.T) {
	if b := BundleOf(tensors.FromFlatDataAndDimensions(make([]float32, 3*8*8*3), 3, 8, 8, 3)); b.Data[mime.PNG]+
		b.Data[mime.JPEG] == "" {
		t.Error("a batch of images is not shown as images")
	}
	if b := BundleOf(tensors.FromValue([][]float32{{1, 2}, {3, 4}})); b.Data[mime.PNG] != "" ||
		!strings.Contains(b.Data[mime.Text], "4") {
		t.Errorf("a matrix is shown as %v", b)
	}
}

// recorder is a notebook that remembers.
type recorder struct {
	mu      sync.Mutex
	bundles []mime.Bundle
	updates int
	cleared []bool
}

func (r *recorder) Display(b mime.Bundle, update bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bundles = append(r.bundles, b)
	if update {
		r.updates++
	}
}
func (r *recorder) Clear(wait bool) { r.cleared = append(r.cleared, wait) }

// What a function returns beside a nil error is shown without a word on the error; nil alone and errors are shown.
func TestShowLeavesTheNilErrorOut(t *testing.T) {
	f := func(err error) (int, error) { return 7, err }
	for want, show := range map[string]func(){
		"7":           func() { Show(f(nil)) },
		"7, no luck":  func() { Show(f(errors.New("no luck"))) },
		"<nil>":       func() { Show(nil) },
		"1, <nil>, 2": func() { Show(1, nil, 2) },
		"1, 2, <nil>": func() { Show(1, 2, error(nil), nil) },
	} {
		r := &recorder{}
		sink.Use(r)
		show()
		sink.Use(nil)
		var texts []string
		for _, b := range r.bundles {
			texts = append(texts, b.Data[mime.Text])
		}
		if got := strings.Join(texts, ", "); got != want {
			t.Errorf("shown is %q, want %q", got, want)
		}
	}
}

func TestClearReachesTheNotebook(t *testing.T) {
	r := &recorder{}
	sink.Use(r)
	defer sink.Use(nil)
	Clear(true)
	Clear(false)
	if len(r.cleared) != 2 || !r.cleared[0] || r.cleared[1] {
		t.Errorf("cleared %v", r.cleared)
	}
}

func TestOverlays(t *testing.T) {
	pictures := []image.Image{image.NewGray(image.Rect(0, 0, 4, 6)), image.NewGray(image.Rect(0, 0, 4, 6))}
	pictures[1].(*image.Gray).SetGray(1, 1, color.Gray{200})
	values := make([]float32, 2*3*6*4)
	for i := range values {
		values[i] = float32(i%7) - 3
	}
	got, err := Overlays(pictures, tensors.FromFlatDataAndDimensions(values, 2, 3, 6, 4), true)
	if err != nil || len(got) != 6 {
		t.Fatalf("%d overlays: %v", len(got), err)
	}
	for i, img := range got {
		want, err := Heatmap(pictures[i/3], values[i*24:(i+1)*24], 6, 4, true)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(img, want) {
			t.Errorf("overlay %d is not the heatmap over its picture", i)
		}
	}
	if tiles := Tiles(got); len(tiles) != 6 || tiles[5].Image != got[5] || tiles[5].Title != "" {
		t.Errorf("the tiles are %v", tiles)
	}
	for name, heat := range map[string]*tensors.Tensor{
		"nil": nil, "rank": tensors.FromFlatDataAndDimensions(values, 24, 6),
		"type":   tensors.FromScalarAndDimensions(int32(1), 2, 6, 4),
		"number": tensors.FromFlatDataAndDimensions(values[:72], 3, 6, 4),
	} {
		if _, err := Overlays(pictures, heat, true); err == nil || !strings.Contains(err.Error(), "heatmaps") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without an image below, a heatmap has the colours of its bar.
func TestHeatmapsAloneHaveTheColoursOfTheirBar(t *testing.T) {
	for _, c := range []struct {
		signed    bool
		low, high color.Color
	}{{false, Sequential.At(0), Sequential.At(1)}, {true, Diverging.At(0.5), Diverging.At(1)}} {
		img, err := Heatmap(nil, []float32{0, 0, 0, 1}, 2, 2, c.signed)
		if err != nil {
			t.Fatal(err)
		}
		if low, high := img.At(0, 0), img.At(1, 1); low != c.low || high != c.high {
			t.Errorf("signed %v: %v to %v, want %v to %v", c.signed, low, high, c.low, c.high)
		}
	}
}
