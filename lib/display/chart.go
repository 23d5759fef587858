package display

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// chart is one of this package's plots.
type chart interface {
	// Plot makes the plot, to be changed or drawn by gonum's own means.
	Plot() (*plot.Plot, error)
	layout() layout
}

// layout is what a plot is drawn with that a *plot.Plot does not hold.
type layout struct {
	width, height vg.Length // in pixels of the screen
	legendBeside  bool      // the legend stands right of the plot, which grows by it, not within
}

var defaultLayout = layout{width: 520, height: 340}

func init() {
	// Every plot of the process, a cell's own too, gets a font without serifs.
	plot.DefaultFont, plotter.DefaultFont = sans, sans
}

// series are the colours of Okabe and Ito, which people who are colour-blind can tell apart, without their yellow,
// which is hard to see on white.
var series = []color.RGBA{{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255},
	{230, 159, 0, 255}, {86, 180, 233, 255}, {60, 60, 60, 255}}

func seriesColor(i int) color.RGBA { return series[i%len(series)] }

// seriesDashes tells those apart that share a colour.
func seriesDashes(i int) []vg.Length {
	return [][]vg.Length{nil, {5, 3}, {1.5, 2.5}}[i/len(series)%3]
}

// faint returns a colour with that opacity.
func faint(c color.RGBA, alpha float64) color.Color {
	return color.NRGBA{c.R, c.G, c.B, uint8(255 * alpha)}
}

// newPlot returns a plot with loupe's looks: a light grid, one line at the bottom, a bold title.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size = 12.5
	p.Title.TextStyle.Font.Weight = xfont.WeightBold
	p.Title.TextStyle.Color = ink
	p.Title.Padding = 9
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size = 11
		axis.Label.TextStyle.Color = ink
		axis.Label.Padding = 4
		axis.Tick.Label.Font.Size = 10
		axis.Tick.Label.Color = color.Gray{0x50}
		axis.LineStyle.Color = color.Gray{0x80}
		axis.Tick.LineStyle.Color = color.Transparent // room between axis and numbers, nothing to see
		axis.Tick.Length = 4
		axis.Tick.Marker = ticks{}
		axis.Padding = 0
	}
	p.Y.LineStyle.Width = 0
	p.Legend.TextStyle.Font.Size = 10
	p.Legend.TextStyle.Color = ink
	p.Legend.Top = true
	p.Legend.Padding = 4
	p.Legend.ThumbnailWidth = 20
	p.Legend.XOffs = 6
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe2}, color.Gray{0xe2}
	p.Add(grid)
	return p
}

// ticks marks about five round values: 1, 2 or 5 times a power of ten apart.
type ticks struct{}

func (ticks) Ticks(low, high float64) []plot.Tick {
	if !(high > low) {
		return []plot.Tick{{Value: low, Label: strconv.FormatFloat(low, 'g', 4, 64)}}
	}
	rough := (high - low) / 6
	decade := math.Floor(math.Log10(rough))
	step := math.Pow(10, decade+1)
	for _, m := range []float64{1, 2, 5} {
		if m*math.Pow(10, decade) >= rough*0.999 {
			step = m * math.Pow(10, decade)
			break
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var out []plot.Tick
	first, last := math.Ceil(low/step-1e-9), math.Floor(high/step+1e-9)
	for k := first; k <= last && len(out) < 20; k++ {
		v := k * step
		label := strconv.FormatFloat(v, 'f', decimals, 64)
		if step >= 1e5 || step < 1e-4 {
			label = strconv.FormatFloat(v, 'g', 4, 64)
		}
		if k == 0 {
			label = strings.TrimPrefix(label, "-")
		}
		out = append(out, plot.Tick{Value: v, Label: label})
	}
	return out
}

// widen gives the values some room to the plot's edges.
func widen(a *plot.Axis, share float64) {
	room := (a.Max - a.Min) * share
	if room == 0 {
		room = 0.5
	}
	a.Min, a.Max = a.Min-room, a.Max+room
}

// nameTicks puts names at 0, 1, 2, …
func nameTicks(a *plot.Axis, names []string) {
	marks := make(plot.ConstantTicks, len(names))
	for i, name := range names {
		marks[i] = plot.Tick{Value: float64(i), Label: name}
	}
	a.Tick.Marker = marks
}

// thinned are names of which no more than most, at equal distances from the first on, are left; the others are empty,
// and only their ticks are drawn.
func thinned(names []string, most int) []string {
	every := (len(names) + max(most, 1) - 1) / max(most, 1)
	left := make([]string, len(names))
	for i := 0; i < len(names); i += max(every, 1) {
		left[i] = names[i]
	}
	return left
}

// longest is the width of the widest of the names at the axis.
func longest(a plot.Axis, names []string) vg.Length {
	var width vg.Length
	for _, name := range names {
		width = max(width, a.Tick.Label.Width(name))
	}
	return width
}

// drawn renders p with one of gonum's canvases of the size that it is given.
func drawn[C vg.CanvasSizer](p *plot.Plot, l layout, canvas func(width, height vg.Length) C) C {
	const margin, right = 6, 14
	title, x, legend := p.Title.Text, p.X.Label.Text, p.Legend
	defer func() { p.Title.Text, p.X.Label.Text, p.Legend = title, x, legend }()
	width, height := l.width, l.height
	var beside vg.Rectangle
	if l.legendBeside {
		beside = legend.Rectangle(draw.Canvas{})
		if beside.Size().X > 0 {
			width += beside.Size().X + right
			height = max(height, beside.Size().Y+60)
		}
		p.Legend = plot.NewLegend()
	}
	wrapped := func(s string, style draw.TextStyle, room vg.Length) string {
		return strings.Join(wrap(s, int(room), func(s string) int { return int(style.Width(s)) + 1 }), "\n")
	}
	p.Title.Text = wrapped(title, p.Title.TextStyle, l.width-margin-right)
	p.X.Label.Text = wrapped(x, p.X.Label.TextStyle, l.width-60)
	c := canvas(width, height)
	whole := draw.Crop(draw.New(c), margin, -right, margin, -margin)
	if beside.Size().X > 0 {
		legend.Left, legend.XOffs = true, 0
		side := draw.Crop(whole, whole.Size().X-beside.Size().X, 0, 0, -34)
		p.Draw(draw.Crop(whole, 0, -beside.Size().X-right, 0, 0))
		legend.Draw(side)
	} else {
		p.Draw(whole)
	}
	return c
}

// drawPlot renders a plot at twice the size of the screen's pixels.
func drawPlot(p *plot.Plot, l layout) image.Image {
	return drawn(p, l, func(width, height vg.Length) *vgimg.Canvas {
		return vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(72*pixelRatio))
	}).Image()
}

func chartImage(c chart) (image.Image, error) {
	p, err := c.Plot()
	if err != nil {
		return nil, err
	}
	return drawPlot(p, c.layout()), nil
}

// chartBundle shows a plot, or what hinders it.
func chartBundle(c chart) mime.Bundle {
	p, err := c.Plot()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return plotBundle(p, c.layout())
}

func plotBundle(p *plot.Plot, l layout) mime.Bundle {
	return drawingBundle(drawPlot(p, l), pixelRatio, strings.TrimSpace("plot "+p.Title.Text))
}

// SVG returns a plot as SVG, to be shown or saved in place of its PNG: a *plot.Plot, one of this package's plots, or
// what has a method Plot.
func SVG(v any) (mime.Bundle, error) {
	p, l, err := plotOf(v)
	if err != nil {
		return mime.Bundle{}, err
	}
	var buf bytes.Buffer
	if _, err := drawn(p, l, vgsvg.New).WriteTo(&buf); err != nil {
		return mime.Bundle{}, fmt.Errorf("display: %w", err)
	}
	return mime.Bundle{Data: map[string]string{mime.SVG: buf.String(), mime.Text: "<" +
		strings.TrimSpace("plot "+p.Title.Text) + ">"}}, nil
}

// plotOf finds the plot that v is or draws, and how it is laid out.
func plotOf(v any) (*plot.Plot, layout, error) {
	if table.IsNil(v) {
		return nil, layout{}, fmt.Errorf("display: the %T is nil, so there is no plot", v)
	}
	switch v := v.(type) {
	case *plot.Plot:
		return v, defaultLayout, nil
	case chart:
		p, err := v.Plot()
		return p, v.layout(), err
	}
	drawn, ok, err := drawing(v)
	if _, grid := drawn.(Grid); !ok || grid {
		return nil, layout{}, fmt.Errorf("display: a %T is not a plot", v)
	}
	if err != nil {
		return nil, layout{}, err
	}
	return plotOf(drawn)
}

// xys checks and pairs the points of what is called name.
func xys(name string, x, y []float64) (plotter.XYs, error) {
	if len(x) != len(y) || len(x) == 0 {
		return nil, fmt.Errorf("display: %q has %d x values and %d y values", name, len(x), len(y))
	}
	out := make(plotter.XYs, len(x))
	for i := range x {
		if !finite(x[i]) || !finite(y[i]) {
			return nil, fmt.Errorf("display: %q has the point (%v, %v) at %d", name, x[i], y[i], i)
		}
		out[i] = plotter.XY{X: x[i], Y: y[i]}
	}
	return out, nil
}

// finite tells that v can be drawn: a number, and one so far from the largest that the differences, margins and
// sums that a plot computes are numbers too.
func finite(v float64) bool { return math.Abs(v) <= 1e300 }

// ribbon fills what lies between two lines.
func ribbon(low, high plotter.XYs, c color.Color) (*plotter.Polygon, error) {
	outline := append(plotter.XYs(nil), low...)
	for i := len(high) - 1; i >= 0; i-- {
		outline = append(outline, high[i])
	}
	polygon, err := plotter.NewPolygon(outline)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	polygon.Color = c
	polygon.LineStyle.Width = 0
	return polygon, nil
}

// diagonalLine is y = x, dashed.
func diagonalLine(low, high float64) (*plotter.Line, error) {
	line, err := plotter.NewLine(plotter.XYs{{X: low, Y: low}, {X: high, Y: high}})
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	line.Color, line.Dashes = color.Gray{0x80}, []vg.Length{4, 3}
	return line, nil
}
