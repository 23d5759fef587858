package display

import (
	"fmt"
	"image"
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/loupeml/loupe/lib/mime"
)

// Bars plots a horizontal bar for each name, the first on top.
type Bars struct {
	Title, X string
	Names    []string
	Values   []float64
	// Format writes the value at a bar's end, such as "%.1f%%"; empty writes none.
	Format string
}

// Add appends a bar.
func (b *Bars) Add(name string, value float64) {
	b.Names, b.Values = append(b.Names, name), append(b.Values, value)
}

// nameRoom is the width that names beside a plot take at most; longer ones go on in the next line.
const nameRoom = 190

// wrapNames breaks the names at an axis into lines.
func wrapNames(a plot.Axis, names []string) (wrapped []string, lines int) {
	for _, name := range names {
		parts := wrap(name, nameRoom, func(s string) int { return int(a.Tick.Label.Width(s)) + 1 })
		wrapped, lines = append(wrapped, strings.Join(parts, "\n")), max(lines, len(parts))
	}
	return wrapped, lines
}

// Plot makes the plot.
func (b Bars) Plot() (*plot.Plot, error) {
	if len(b.Names) != len(b.Values) || len(b.Values) == 0 {
		return nil, fmt.Errorf("display: %d bars have %d names", len(b.Values), len(b.Names))
	}
	n := len(b.Values)
	p := newPlot(b.Title, b.X, "")
	values, names := make(plotter.Values, n), make([]string, n)
	for i, v := range b.Values {
		if !finite(v) {
			return nil, fmt.Errorf("display: the bar %q is %v", b.Names[i], v)
		}
		values[n-1-i], names[n-1-i] = v, b.Names[i]
	}
	bars, err := plotter.NewBarChart(values, 13)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, seriesColor(0), 0
	p.Add(bars)
	names, _ = wrapNames(p.Y, names)
	nameTicks(&p.Y, names)
	p.Y.Tick.Label.Color = ink
	p.Y.Min, p.Y.Max = -0.6, float64(n)-0.4
	p.X.Min, p.X.Max = min(p.X.Min, 0), max(p.X.Max, 0)
	if p.X.Min == p.X.Max {
		p.X.Max = 1
	}
	if b.Format != "" {
		points, texts := make(plotter.XYs, n), make([]string, n)
		for i, v := range values {
			points[i] = plotter.XY{X: v, Y: float64(i)}
			texts[i] = " " + fmt.Sprintf(b.Format, v) + " "
		}
		labels, err := plotter.NewLabels(plotter.XYLabels{XYs: points, Labels: texts})
		if err != nil {
			return nil, fmt.Errorf("display: %w", err)
		}
		var widest vg.Length
		for i := range labels.TextStyle {
			style := &labels.TextStyle[i]
			style.Font.Size, style.Color = 10, color.Color(ink)
			style.YAlign = draw.YCenter
			if values[i] < 0 {
				style.XAlign = draw.XRight
			}
			widest = max(widest, style.Width(texts[i]))
		}
		p.Add(labels)
		// The texts stand beyond the bars' ends: as wide as the widest on the plot, which is about 320 wide.
		// A text wider than that leaves the bars a fifth of it.
		taken := min(float64(widest)/320, 0.8)
		room := (p.X.Max - p.X.Min) * taken / (1 - taken)
		if p.X.Max > 0 {
			p.X.Max += room
		}
		if p.X.Min < 0 {
			p.X.Min -= room
		}
	}
	return p, nil
}

func (b Bars) layout() layout {
	_, lines := wrapNames(newPlot("", "", "").Y, b.Names)
	height := vg.Length(len(b.Values)*max(22, 12*lines+6) + 26)
	if b.Title != "" {
		height += 28
	}
	if b.X != "" {
		height += 18
	}
	return layout{width: defaultLayout.width, height: height}
}

// Image draws the plot at twice the size of the screen's pixels.
func (b Bars) Image() (image.Image, error) { return chartImage(b) }

// Bundle shows the plot.
func (b Bars) Bundle() mime.Bundle { return chartBundle(b) }
