package display

import (
	"encoding/xml"
	"fmt"
	"image"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
)

func accuracies(t *testing.T, scale stats.AxisScale) AccuracyScatter {
	t.Helper()
	s := AccuracyScatter{Title: "New against old", X: "old", Y: "new <set>", Scale: scale,
		Groups: []string{"standard", "more data"}}
	var pairs []stats.AccuracyPair
	for i := range 12 {
		x := 0.5 + 0.035*float64(i)
		p := AccuracyPoint{Name: fmt.Sprint("model & ", i), X: x, Y: stats.Logit.Accuracy(0.9*stats.Logit.Of(x) - 0.4 +
			0.05*math.Sin(float64(5*i))), Group: i % 2, Label: i == 3}
		p.XInterval, p.YInterval = stats.Interval{Low: x - 0.01, High: x + 0.01},
			stats.Interval{Low: p.Y - 0.02, High: p.Y + 0.02}
		s.Points = append(s.Points, p)
		pairs = append(pairs, stats.AccuracyPair{Model: p.Name, X: p.X, Y: p.Y})
	}
	var err error
	if s.Fit, err = stats.FitAccuracies(scale, pairs); err != nil {
		t.Fatal(err)
	}
	return s
}

// Each model has a circle with its name right over the dot that gonum draws.
func TestHoverLiesOverTheDots(t *testing.T) {
	s := accuracies(t, stats.Logit)
	s.Points = append(s.Points, AccuracyPoint{Name: "nothing right", X: 0.7, Y: 0, Group: 1,
		YInterval: stats.Interval{High: 0.01}})
	b := s.Bundle()
	page := b.Data[mime.HTML]
	if b.Data[mime.PNG] == "" || b.Data[mime.Text] == "" {
		t.Error("there is no picture beside the page")
	}
	if regexp.MustCompile(`(?i)<script|https?://[^"]*\.(js|css|png)|href=|src=`).MatchString(page) {
		t.Error("the page has a script, or loads something")
	}
	decoder := xml.NewDecoder(strings.NewReader(page))
	for {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
	}
	height, err := strconv.ParseFloat(regexp.MustCompile(`height="([\d.]+)"`).FindStringSubmatch(page)[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	var dots [][2]float64 // of gonum, in the flipped coordinates
	for _, m := range regexp.MustCompile(`<path d="M([\d.]+),([\d.]+)A([\d.]+),`).FindAllStringSubmatch(page, -1) {
		x, _ := strconv.ParseFloat(m[1], 64)
		y, _ := strconv.ParseFloat(m[2], 64)
		r, _ := strconv.ParseFloat(m[3], 64)
		dots = append(dots, [2]float64{x - r, height - y})
	}
	circles := regexp.MustCompile(
		`<circle cx="([\d.]+)" cy="([\d.]+)" r="4"><title>([^<]*)</title>`).FindAllStringSubmatch(page, -1)
	if len(circles) != 12 {
		t.Fatalf("%d circles", len(circles))
	}
	for _, m := range circles {
		x, _ := strconv.ParseFloat(m[1], 64)
		y, _ := strconv.ParseFloat(m[2], 64)
		if !slices.ContainsFunc(dots, func(d [2]float64) bool { return math.Hypot(d[0]-x, d[1]-y) < 0.15 }) {
			t.Errorf("no dot lies under %q at %g, %g", m[3], x, y)
		}
	}
	if want := "model &amp; 3\nold: 60.50%\nnew &lt;set&gt;: 50.41%\nmore data\neffective robustness"; !strings.Contains(
		circles[11][3], want) {
		t.Errorf("the last circle says %q, want the labelled model: %q", circles[11][3], want)
	}
	if !strings.Contains(page, "1 at 0% or 100%, not drawn") {
		t.Error("the legend does not say that a model is missing")
	}
}

func TestAccuracyTicksAreRoundAndApart(t *testing.T) {
	for _, scale := range []stats.AxisScale{stats.Linear, stats.Probit, stats.Logit} {
		for _, ends := range [][2]float64{{0.55, 0.9}, {0.002, 0.995}, {0.74, 0.78}, {0.91, 0.9995}, {0.3, 0.305}} {
			low, high := scale.Of(ends[0]), scale.Of(ends[1])
			marks := accuracyTicks{scale}.Ticks(low, high)
			if len(marks) < 4 || len(marks) > 18 {
				t.Errorf("%v from %v has %d marks", scale, ends, len(marks))
			}
			for i, m := range marks {
				percent, err := strconv.ParseFloat(m.Label, 64)
				if err != nil || !approx.Equal(scale.Of(percent/100), m.Value, 1e-9) || !(m.Value >= low-1e-9) ||
					!(m.Value <= high+1e-9) {
					t.Errorf("%v from %v: %q at %g", scale, ends, m.Label, m.Value)
				}
				if i > 0 && !(m.Value-marks[i-1].Value >= 0.05*(high-low)) {
					t.Errorf("%v from %v: %q and %q are too near", scale, ends, marks[i-1].Label, m.Label)
				}
			}
		}
	}
}

func TestBadAccuracyScatters(t *testing.T) {
	point := AccuracyPoint{Name: "m", X: 0.5, Y: 0.4}
	for want, s := range map[string]AccuracyScatter{
		"none to draw":        {},
		"no axis scale 9":     {Scale: 9, Points: []AccuracyPoint{point}},
		"lie between 0 and 1": {Points: []AccuracyPoint{{Name: "m", X: 76, Y: 63}}},
		"of m are NaN":        {Points: []AccuracyPoint{{Name: "m", X: math.NaN(), Y: 0.5}}},
		"is in group 2":       {Points: []AccuracyPoint{{Name: "m", X: 0.5, Y: 0.5, Group: 2}}, Groups: []string{"a"}},
		"not 100":             {Points: []AccuracyPoint{point}, Width: 100},
		"not NaN":             {Points: []AccuracyPoint{point}, Width: math.NaN()},
		"2 models has none": {Scale: stats.Logit, Points: []AccuracyPoint{{Name: "a", X: 0, Y: 0.5},
			{Name: "b", X: 0.5, Y: 1}}},
	} {
		if _, err := s.Plot(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
		if text := s.Bundle().Data[mime.Text]; !strings.Contains(text, want) {
			t.Errorf("want a text that says %q, got %q", want, text)
		}
	}
	if _, err := (AccuracyScatter{Points: []AccuracyPoint{point}}).Plot(); err != nil {
		t.Errorf("one model alone: %v", err)
	}
}

func TestSmallAndStillAccuracies(t *testing.T) {
	s := accuracies(t, stats.Logit)
	if _, page := s.Bundle().Data[mime.HTML]; !page {
		t.Error("the plot is no page")
	}
	wide := imageOf(t, s).Bounds()
	s.Width, s.Still = 280, true
	if _, page := s.Bundle().Data[mime.HTML]; page || s.Bundle().Data[mime.PNG] == "" {
		t.Error("a still plot is a page, or no picture")
	}
	// Half as wide: 280 less on a screen of twice as many pixels.
	if small := imageOf(t, s).Bounds(); small.Dx() != wide.Dx()-2*280 {
		t.Errorf("the plot is %d pixels wide, and %d where it is small", wide.Dx(), small.Dx())
	}
}

func imageOf(t *testing.T, s AccuracyScatter) image.Image {
	t.Helper()
	img, err := s.Image()
	if err != nil {
		t.Fatal(err)
	}
	return img
}
