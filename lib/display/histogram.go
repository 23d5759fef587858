package display

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/loupeml/loupe/lib/mime"
)

// Histogram plots how often values lie where.
type Histogram struct {
	Title, X string
	Values   []float64
	// of equal width from the least value to the largest; 0 means the square root of the number of values, 50 at most
	Bins int
}

// bars are how many values lie in each bin.
func (h Histogram) bars() (*plotter.Histogram, error) {
	if len(h.Values) == 0 {
		return nil, errors.New("display: a histogram has no values")
	}
	if h.Bins < 0 {
		return nil, fmt.Errorf("display: a histogram has %d bins", h.Bins)
	}
	for i, v := range h.Values {
		if !finite(v) {
			return nil, fmt.Errorf("display: value %d of the histogram is %v", i, v)
		}
	}
	bins := h.Bins
	if bins == 0 {
		bins = min(50, int(math.Ceil(math.Sqrt(float64(len(h.Values))))))
	}
	low, high := slices.Min(h.Values), slices.Max(h.Values)
	if low == high { // all the same: one bar around it
		low, high, bins = low-0.5, high+0.5, 1
	}
	bars := &plotter.Histogram{Bins: make([]plotter.HistogramBin, bins), Width: (high - low) / float64(bins)}
	for i := range bars.Bins {
		bars.Bins[i].Min = low + float64(i)*bars.Width
		bars.Bins[i].Max = low + float64(i+1)*bars.Width
	}
	for _, v := range h.Values {
		bars.Bins[min(int((v-low)/bars.Width), bins-1)].Weight++
	}
	return bars, nil
}

// Plot makes the plot.
func (h Histogram) Plot() (*plot.Plot, error) {
	bars, err := h.bars()
	if err != nil {
		return nil, err
	}
	p := newPlot(h.Title, h.X, "count")
	bars.FillColor, bars.LineStyle.Color, bars.LineStyle.Width = seriesColor(0), color.White, 0.6
	p.Add(bars)
	p.Y.Min = 0
	p.Y.Max *= 1.04
	return p, nil
}

func (h Histogram) layout() layout { return defaultLayout }

// Image draws the plot at twice the size of the screen's pixels.
func (h Histogram) Image() (image.Image, error) { return chartImage(h) }

// Bundle shows the plot.
func (h Histogram) Bundle() mime.Bundle { return chartBundle(h) }
