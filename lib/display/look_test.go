package display

import (
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/loupeml/loupe/lib/stats"
)

// samples are one of each kind of picture.
func samples(t *testing.T) map[string]any {
	t.Helper()
	photo := image.NewRGBA(image.Rect(0, 0, 96, 96))
	small := image.NewRGBA(image.Rect(0, 0, 8, 8))
	heat := make([]float32, 96*96)
	for y := range 96 {
		for x := range 96 {
			photo.SetRGBA(x, y, color.RGBA{uint8(2 * x), uint8(2 * y), 120, 255})
			dx, dy := float64(x-30), float64(y-40)
			ex, ey := float64(x-70), float64(y-60)
			heat[y*96+x] = float32(math.Exp(-(dx*dx+dy*dy)/200) - 0.7*math.Exp(-(ex*ex+ey*ey)/100))
			small.SetRGBA(x%8, y%8, color.RGBA{uint8(32 * (x % 8)), uint8(32 * (y % 8)), 0, 255})
		}
	}
	signed, err := Heatmap(photo, heat, 96, 96, true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range heat {
		heat[i] = max(heat[i], 0)
	}
	unsigned, err := Heatmap(photo, heat, 96, 96, false)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var xs, ys, confidences []float64
	var correct []bool
	for range 60 {
		x := rng.Float64()
		xs, ys = append(xs, x), append(ys, 0.2+0.7*x+0.05*rng.NormFloat64())
	}
	for range 2000 {
		c := math.Sqrt(rng.Float64())
		confidences, correct = append(confidences, c), append(correct, rng.Float64() < c*c)
	}
	up := []float64{1, 2, 3, 4, 5}
	table := Table{Title: "Predictions", Header: []string{"image", "class", "probability"}}
	table.Add(photo, "dalmatian, <b>coach dog</b>", Bar(0.64))
	table.Add(photo, "Great Dane", Bar(0.052))
	all := hardSamples(photo)
	maps.Copy(all, map[string]any{
		"grid": Grid{Title: "Attributions of EfficientNet-Lite0", Columns: []string{"image", "Gradient", "GradCAM"},
			Labels: []string{"dalmatian\n64.1%", "a label that is much too long for its place"},
			Rows: [][]Tile{{{Image: photo, Title: "one\ntwo"}, {Image: signed}, {Image: unsigned}},
				{{Image: small}, {Image: signed}, {}}}, Bar: SignedBar},
		"gallery": Gallery([]image.Image{photo, small, photo, signed, unsigned, small, photo, small, photo}, "one", "two",
			"a title that does not fit at all", "", "five"),
		"lines": Lines{Title: "Accuracy under corruption", X: "severity", Y: "accuracy", Series: []Series{
			{Name: "gaussian_noise", X: up, Y: []float64{.9, .8, .7, .5, .2}, Low: []float64{.8, .7, .6, .4, .1},
				High: []float64{.95, .9, .8, .6, .3}},
			{Name: "brightness", X: up, Y: []float64{.95, .93, .9, .88, .8}}}, YMax: 1},
		"accuracies": accuracies(t, stats.Probit),
		"scatter": Scatter{Title: "New against original accuracy", X: "original", Y: "new", Xs: xs, Ys: ys, Fit: true,
			Diagonal: true},
		"bars": Bars{Title: "Top five", X: "probability, %", Names: []string{"dalmatian, coach dog", "Great Dane",
			"jaguar"}, Values: []float64{64.1, 5.2, 1.4}, Format: "%.1f%%"},
		"boxes": Boxes{Title: "Under a shift", X: "intensity", Y: "accuracy", Names: []string{"0", "1", "2"},
			Series: []BoxSeries{{Name: "one", Values: [][]float64{{.9}, ys[:20], ys[20:40]}},
				{Name: "several", Values: [][]float64{{.95}, xs[:20], nil}}}, YMax: 1},
		"histogram":   Histogram{Title: "Confidence", X: "confidence", Values: confidences},
		"reliability": Reliability{Title: "Reliability", Confidences: confidences, Correct: correct},
		"confusion": Confusion{Title: "Confusion", Counts: [][]float64{{50, 3, 0}, {4, 40, 6}, {0, 1, 60}},
			Classes: []string{"aeroplane", "car", "bird"}},
		"table": table,
	})
	return all
}

// LOUPE_LOOK=DIR writes one of each kind of picture there, for a person to look at.
func TestLook(t *testing.T) {
	dir := os.Getenv("LOUPE_LOOK")
	if dir == "" {
		t.Skip("skipped: needs LOUPE_LOOK=DIR, a folder for the pictures")
	}
	for name, v := range samples(t) {
		if name == "table" {
			continue
		}
		img, err := Picture(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f, err := os.Create(filepath.Join(dir, name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, img); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
