package display

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"github.com/gomlx/gomlx/core/tensors"
)

// hardSamples are pictures with more or longer things in them than there is room for at first.
func hardSamples(photo image.Image) map[string]any {
	const long = "German shepherd, German shepherd dog, German police dog, alsatian"
	square := func(n int) [][]float64 {
		m := make([][]float64, n)
		for i := range m {
			m[i] = make([]float64, n)
			for j := range m[i] {
				m[i][j] = math.Round(50 * math.Exp(-math.Abs(float64(i-j))))
			}
		}
		return m
	}
	names := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("class number %d", i)
		}
		return out
	}
	many := Lines{
		Title: "Accuracy of a model with a rather long name on fifty thousand images of the validation set under corruption",
		X:     "severity", Y: "accuracy"}
	for i := range 16 {
		s := Series{Name: fmt.Sprintf("corruption_%d", i)}
		for x := range 6 {
			s.X, s.Y = append(s.X, float64(x)), append(s.Y, 1-float64(x*i)/90)
		}
		many.Series = append(many.Series, s)
	}
	crowd := Boxes{Title: "Nine models at thirteen places", Y: "expected calibration error", Names: names(13)}
	for i := range 9 {
		s := BoxSeries{Name: fmt.Sprintf("model_%d", i)}
		for at := range crowd.Names {
			s.Values = append(s.Values, []float64{float64(i), float64(at), float64(i+at) / 2})
		}
		crowd.Series = append(crowd.Series, s)
	}
	cam := make([]float32, 7*7)
	for i := range cam {
		cam[i] = float32(math.Exp(-math.Hypot(float64(i%7-2), float64(i/7-3))))
	}
	heat := tensors.FromFlatDataAndDimensions(cam, 1, 7, 7)
	wide := image.NewRGBA(image.Rect(0, 0, 120, 60))
	for i := range wide.Pix {
		wide.Pix[i] = 255
	}
	wide.SetRGBA(5, 5, color.RGBA{255, 0, 0, 255})
	return map[string]any{
		"hard-lines": many,
		"hard-scatter": Scatter{Title: "Falling", X: "x", Y: "y", Xs: []float64{1000, 2000, 3000, 4000},
			Ys: []float64{4e-5, 3.1e-5, 2e-5, 0.8e-5}, Fit: true},
		"hard-bars": Bars{Title: "Attribution", X: "change of the logit", Names: []string{long, "b", "c"},
			Values: []float64{3, -2, 0.5}, Format: "%.1f"},
		"hard-names": Lines{Title: "By class", Y: "accuracy", Names: names(8),
			Series: []Series{{Name: "", X: []float64{0, 1, 2, 3, 4, 5, 6, 7}, Y: []float64{1, 2, 3, 1, 2, 3, 1, 2}}}},
		"hard-boxes":   crowd,
		"hard-same":    Histogram{Title: "All the same", X: "value", Values: []float64{3, 3, 3}},
		"hard-conf12":  Confusion{Title: "Twelve classes", Counts: square(12), Classes: names(12), Normalize: true},
		"hard-conf25":  Confusion{Title: "Twenty-five classes", Counts: square(25), Classes: names(25)},
		"hard-conf300": Confusion{Title: "Three hundred classes", Counts: square(300)},
		"hard-overlay": Overlay{Title: "Grad-CAM of 7 x 7", Over: photo, Heat: heat, Unsigned: true},
		"hard-signed":  Overlay{Title: "Signed", Over: photo, Heat: heat},
		"hard-grid": Grid{
			Title: "A title that is much wider than the two small pictures that it stands above, so it has to go on", Side: 80,
			Bar:     UnsignedBar,
			Columns: []string{"IntegratedGradients", "SmoothGrad of 32 samples"}, Labels: []string{long, ""},
			Rows: [][]Tile{{{Image: photo, Title: long}, {Image: wide}}, {{Image: image.NewRGBA(image.Rectangle{})},
				{Image: photo, Title: "Pneumonoultramicroscopicsilicovolcanoconiosis"}}}},
	}
}
