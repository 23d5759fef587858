package display

import (
	"errors"
	"image"
	"math"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/mime"
)

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text } // panics for nil

type panicking struct{}

func (panicking) String() string { panic("boom") }

// What a cell's mistakes leave in a value must not take the cell's other output with it.
func TestMistakesInValuesAreShown(t *testing.T) {
	var missing *nilError
	var noPicture *image.RGBA
	for name, c := range map[string]struct {
		value any
		want  string // in the text form
	}{
		"nil error":        {missing, "nil"},
		"nil in a table":   {Table{Rows: [][]any{{missing, noPicture, nil, errors.New("seen")}}}, "nil │ nil │  │ seen"},
		"panicking String": {panicking{}, "boom"},
		"NaN share":        {Table{Rows: [][]any{{Bar(math.NaN()), Shares{math.Inf(1), -1}}}}, "NaN%"},
		"nil pictures": {Gallery([]image.Image{noPicture, nil, image.NewRGBA(image.Rect(0, 0, 9, 9))}),
			"grid of 1 image"},
		"empty colour map": {Grid{Bar: &ColorBar{High: "most"}, Rows: [][]Tile{{{}}}}, "grid of 0 images"},
		"one colour":       {Grid{Bar: &ColorBar{Map: ColorMap{{1, 2, 3, 255}}}}, "grid of 0 images"},
	} {
		if got := BundleOf(c.value).Data[mime.Text]; !strings.Contains(got, c.want) {
			t.Errorf("%s: shown as %q, want %q in it", name, got, c.want)
		}
	}
	if page := BundleOf(Table{Rows: [][]any{{Bar(math.NaN())}}}).Data[mime.HTML]; !strings.Contains(page, "width:0.0%") {
		t.Errorf("a bar that is not a number is drawn in %s", page)
	}
}

// Values whose differences are more than a float64 holds are refused by name; drawing them would not end.
func TestHugeValuesAreRefused(t *testing.T) {
	huge := []float64{-math.MaxFloat64, 0, math.MaxFloat64}
	for name, v := range map[string]any{
		"histogram": Histogram{Values: huge},
		"bars":      Bars{Names: []string{"a", "b", "c"}, Values: huge, Format: "%g"},
		"lines":     Lines{Series: []Series{{X: []float64{0, 1, 2}, Y: huge}}},
		"boxes":     Boxes{Names: []string{"a"}, Series: []BoxSeries{{Values: [][]float64{huge}}}},
		"scatter":   Scatter{Xs: huge, Ys: huge, Fit: true},
		"confusion": Confusion{Counts: [][]float64{{math.MaxFloat64, math.MaxFloat64}, {0, 0}}},
	} {
		b := BundleOf(v)
		if text := b.Data[mime.Text]; b.Data[mime.PNG] != "" || !strings.HasPrefix(text, "display: ") ||
			!strings.Contains(text, "e+308") {
			t.Errorf("%s: shown as %q", name, text)
		}
	}
	if _, err := Picture(Histogram{Values: []float64{-1e299, 1e299}}); err != nil {
		t.Errorf("large values: %v", err)
	}
}

func TestTextsBehindBarsLeaveRoomForThem(t *testing.T) {
	for _, format := range []string{"%.1f",
		"%.1f of the images of the validation set, which is more than there is room for on any plot"} {
		p, err := Bars{Names: []string{"a", "b"}, Values: []float64{1, 2}, Format: format}.Plot()
		if err != nil {
			t.Fatal(err)
		}
		if !(p.X.Max > 2 && p.X.Max <= 2/0.2+1e-9) {
			t.Errorf("with %q the axis ends at %v", format, p.X.Max)
		}
	}
}
