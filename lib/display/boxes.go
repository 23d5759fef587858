package display

import (
	"errors"
	"fmt"
	"image"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/loupeml/loupe/lib/mime"
)

// Boxes plots how values are spread: for each name on the horizontal axis a box for each series, from the first
// quartile to the third with a line at the median, and whiskers to the least value and the largest. Quartiles are the
// medians of the lower and of the upper half.
type Boxes struct {
	Title, X, Y string
	// Names are those of the places on the horizontal axis, such as the intensities of a shift.
	Names  []string
	Series []BoxSeries
	// YMin and YMax fix the vertical axis when they differ.
	YMin, YMax float64
}

// BoxSeries are boxes of one colour, such as those of a model.
type BoxSeries struct {
	Name string
	// Values has those of a box for each of the names; none leaves its place empty.
	Values [][]float64
}

// step is the width that a box and the gap beside it take.
func (b Boxes) step() vg.Length {
	const room = 440 // of the default width between the axis and the edge
	return min(max(room/vg.Length(len(b.Names)*(len(b.Series)+1)), 8), 40)
}

// boxes makes the boxes, and for each series the one that stands for it in the legend, nil where it has none.
func (b Boxes) boxes() (all, legend []*plotter.BoxPlot, err error) {
	step := b.step()
	for i, s := range b.Series {
		if len(s.Values) != len(b.Names) {
			return nil, nil, fmt.Errorf("display: the boxes %q are %d for %d names", s.Name, len(s.Values), len(b.Names))
		}
		c := seriesColor(i)
		legend = append(legend, nil)
		for at, values := range s.Values {
			for j, v := range values {
				if !finite(v) {
					return nil, nil, fmt.Errorf("display: value %d of the box %q at %q is %v", j, s.Name, b.Names[at], v)
				}
			}
			if len(values) == 0 {
				continue
			}
			box, err := plotter.NewBoxPlot(0.8*step, float64(at), plotter.Values(values))
			if err != nil {
				return nil, nil, fmt.Errorf("display: %w", err)
			}
			box.Offset = step * (vg.Length(i) - vg.Length(len(b.Series)-1)/2)
			box.AdjLow, box.AdjHigh, box.Outside = box.Min, box.Max, nil
			box.FillColor, box.CapWidth = faint(c, 0.35), 0.4*step
			box.BoxStyle = draw.LineStyle{Color: c, Width: 1, Dashes: seriesDashes(i)}
			box.MedianStyle = draw.LineStyle{Color: c, Width: 2}
			box.WhiskerStyle = draw.LineStyle{Color: c, Width: 1}
			all, legend[i] = append(all, box), box
		}
	}
	return all, legend, nil
}

// Plot makes the plot.
func (b Boxes) Plot() (*plot.Plot, error) {
	if len(b.Names) == 0 || len(b.Series) == 0 {
		return nil, fmt.Errorf("display: a plot of boxes has %d names and %d series", len(b.Names), len(b.Series))
	}
	if b.YMin > b.YMax || !finite(b.YMin) || !finite(b.YMax) {
		return nil, fmt.Errorf("display: a vertical axis from %v to %v has no room", b.YMin, b.YMax)
	}
	boxes, legend, err := b.boxes()
	if err != nil {
		return nil, err
	}
	if len(boxes) == 0 {
		return nil, errors.New("display: a plot of boxes has no values")
	}
	p := newPlot(b.Title, b.X, b.Y)
	for _, box := range boxes {
		p.Add(box)
	}
	for i, box := range legend {
		if box != nil && b.Series[i].Name != "" {
			p.Legend.Add(b.Series[i].Name, boxThumbnail{box})
		}
	}
	p.X.Min, p.X.Max = -0.5, float64(len(b.Names))-0.5
	if b.YMin != b.YMax {
		p.Y.Min, p.Y.Max = b.YMin, b.YMax
	} else {
		widen(&p.Y, 0.04)
	}
	nameTicks(&p.X, b.Names)
	if longest(p.X, b.Names) > b.step()*vg.Length(len(b.Series)+1) {
		slant(&p.X)
	}
	return p, nil
}

// boxThumbnail is a box in the legend.
type boxThumbnail struct{ box *plotter.BoxPlot }

func (t boxThumbnail) Thumbnail(c *draw.Canvas) {
	corners := []vg.Point{c.Min, {X: c.Min.X, Y: c.Max.Y}, c.Max, {X: c.Max.X, Y: c.Min.Y}}
	c.FillPolygon(t.box.FillColor, corners)
	c.StrokeLines(t.box.BoxStyle, append(corners, c.Min))
	middle := (c.Min.Y + c.Max.Y) / 2
	c.StrokeLine2(t.box.MedianStyle, c.Min.X, middle, c.Max.X, middle)
}

func (b Boxes) layout() layout {
	d := defaultLayout
	d.legendBeside = true
	d.width = max(d.width, 80+b.step()*vg.Length(len(b.Names)*(len(b.Series)+1)))
	return d
}

// Image draws the plot at twice the size of the screen's pixels.
func (b Boxes) Image() (image.Image, error) { return chartImage(b) }

// Bundle shows the plot.
func (b Boxes) Bundle() mime.Bundle { return chartBundle(b) }
