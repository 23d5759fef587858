package display

import (
	"fmt"
	"image"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/loupeml/loupe/lib/mime"
)

// Reliability is a reliability diagram: how often predictions of a confidence are right, in bins of equal
// width over 0..1, (lo, hi]. The distance to the diagonal is the miscalibration; the area of a
// bin's point grows with its share of the predictions (Guo et al. 2017, section 2).
type Reliability struct {
	Title       string
	Confidences []float64 // of the predicted class, 0..1
	Correct     []bool
	Bins        int // 0 means 15
}

// reliabilityPoint is a bin that holds predictions: their mean confidence, the share that is right, and their share of
// all.
type reliabilityPoint struct{ confidence, accuracy, share float64 }

// points are the bins that hold predictions, from the least confidence on.
func (r Reliability) points() ([]reliabilityPoint, error) {
	if len(r.Confidences) == 0 || len(r.Confidences) != len(r.Correct) {
		return nil, fmt.Errorf("display: %d confidences have %d verdicts", len(r.Confidences), len(r.Correct))
	}
	if r.Bins < 0 {
		return nil, fmt.Errorf("display: a reliability diagram has %d bins", r.Bins)
	}
	bins := r.Bins
	if bins == 0 {
		bins = 15
	}
	count, sum, right := make([]float64, bins), make([]float64, bins), make([]float64, bins)
	for i, c := range r.Confidences {
		if !(c >= 0 && c <= 1) {
			return nil, fmt.Errorf("display: confidence %d is %v, it lies between 0 and 1", i, c)
		}
		b := max(int(math.Ceil(c*float64(bins)))-1, 0)
		count[b]++
		sum[b] += c
		if r.Correct[i] {
			right[b]++
		}
	}
	var points []reliabilityPoint
	for b, n := range count {
		if n > 0 {
			points = append(points, reliabilityPoint{sum[b] / n, right[b] / n, n / float64(len(r.Confidences))})
		}
	}
	return points, nil
}

// Plot makes the plot.
func (r Reliability) Plot() (*plot.Plot, error) {
	bins, err := r.points()
	if err != nil {
		return nil, err
	}
	p := newPlot(r.Title, "confidence", "accuracy")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	diagonal, err := diagonalLine(0, 1)
	if err != nil {
		return nil, err
	}
	var points plotter.XYs
	var gap *plotter.Line
	for _, bin := range bins {
		x, y := bin.confidence, bin.accuracy
		if gap, err = plotter.NewLine(plotter.XYs{{X: x, Y: x}, {X: x, Y: y}}); err != nil {
			return nil, fmt.Errorf("display: %w", err)
		}
		gap.Color, gap.Width = faint(seriesColor(1), 0.45), 5
		p.Add(gap)
		points = append(points, plotter.XY{X: x, Y: y})
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	line.Color, line.Width = seriesColor(0), 1.4
	dots.GlyphStyle = draw.GlyphStyle{Color: seriesColor(0), Radius: 3, Shape: draw.CircleGlyph{}}
	dots.GlyphStyleFunc = func(i int) draw.GlyphStyle {
		return draw.GlyphStyle{Color: seriesColor(0), Radius: vg.Length(2 + 7*math.Sqrt(bins[i].share)),
			Shape: draw.CircleGlyph{}}
	}
	p.Add(diagonal, line, dots)
	p.Legend.Left = true
	p.Legend.Add("perfectly calibrated", diagonal)
	p.Legend.Add("predictions", line)
	p.Legend.Add("gap", gap)
	return p, nil
}

func (r Reliability) layout() layout { return layout{width: 370, height: 370} }

// Image draws the plot at twice the size of the screen's pixels.
func (r Reliability) Image() (image.Image, error) { return chartImage(r) }

// Bundle shows the plot.
func (r Reliability) Bundle() mime.Bundle { return chartBundle(r) }
