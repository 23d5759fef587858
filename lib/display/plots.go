package display

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/loupeml/loupe/lib/mime"
)

// The size of a plot in pixels of the screen where nothing else is said.
const (
	defaultWidth  = 520
	defaultHeight = 340
)

func init() {
	// Every plot of the process, a cell's own too, gets a font without serifs.
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	plotter.DefaultFont = plot.DefaultFont
}

// series are the colours of Okabe and Ito, which people who are colour-blind can tell apart.
var series = []color.RGBA{{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {230, 159, 0, 255}, {86, 180, 233, 255}, {60, 60, 60, 255}}

func seriesColor(i int) color.RGBA { return series[i%len(series)] }

// faint returns a colour as it looks with that opacity.
func faint(c color.RGBA, alpha float64) color.Color {
	return color.NRGBA{c.R, c.G, c.B, uint8(255 * alpha)}
}

// newPlot returns a plot with loupe's looks: a light grid, no box, room for the title.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size = 13
	p.Title.Padding = 8
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size = 11
		axis.Tick.Label.Font.Size = 10
		axis.LineStyle.Color = color.Gray{0x99}
		axis.Tick.LineStyle.Color = color.Gray{0x99}
	}
	p.Legend.TextStyle.Font.Size = 10
	p.Legend.Top = true
	p.Legend.Padding = 2
	p.Legend.ThumbnailWidth = 18
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe6}, color.Gray{0xe6}
	p.Add(grid)
	return p
}

// drawPlot renders a plot of width x height pixels of the screen at twice that size.
func drawPlot(p *plot.Plot, width, height vg.Length) image.Image {
	c := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(72*pixelRatio))
	d := draw.New(c)
	p.Draw(draw.Crop(d, 4, -12, 4, -4))
	return c.Image()
}

func plotBundle(p *plot.Plot, width, height vg.Length, text string) mime.Bundle {
	return drawingBundle(drawPlot(p, width, height), pixelRatio, text)
}

// SVG returns what is shown of a plot as SVG: a *plot.Plot, or one of this package's plots.
func SVG(v any) (mime.Bundle, error) {
	p, ok := v.(*plot.Plot)
	if !ok {
		m, isPlotter := v.(interface{ Plot() (*plot.Plot, error) })
		if !isPlotter {
			return mime.Bundle{}, fmt.Errorf("display: a %T is not a plot", v)
		}
		var err error
		if p, err = m.Plot(); err != nil {
			return mime.Bundle{}, err
		}
	}
	c := vgsvg.New(defaultWidth, defaultHeight)
	p.Draw(draw.Crop(draw.New(c), 4, -12, 4, -4))
	var buf bytes.Buffer
	if _, err := c.WriteTo(&buf); err != nil {
		return mime.Bundle{}, err
	}
	return mime.Bundle{Data: map[string]string{mime.SVG: buf.String(), mime.Text: "<plot " + p.Title.Text + ">"}}, nil
}

// bundleOf shows a plot that may have failed to be made.
func bundleOf(p *plot.Plot, err error, width, height vg.Length) mime.Bundle {
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return plotBundle(p, width, height, "plot "+p.Title.Text)
}

// Series is a line of a [Lines] plot: points with, if Low and High are given, a band between these.
type Series struct {
	Name      string
	X, Y      []float64
	Low, High []float64 // nil for no band
}

// Lines plots values against another, a line for each series.
type Lines struct {
	Title, X, Y string
	Series      []Series
	// YMin and YMax fix the vertical axis when they differ.
	YMin, YMax float64
	// Names are put at 0, 1, 2, … of the horizontal axis instead of numbers.
	Names []string
}

// Plot makes the plot.
func (l Lines) Plot() (*plot.Plot, error) {
	if len(l.Series) == 0 {
		return nil, errors.New("display: a plot of lines has no series")
	}
	p := newPlot(l.Title, l.X, l.Y)
	for i, s := range l.Series {
		points, err := xys(s.Name, s.X, s.Y)
		if err != nil {
			return nil, err
		}
		c := seriesColor(i)
		if s.Low != nil || s.High != nil {
			low, err := xys(s.Name+" (low)", s.X, s.Low)
			if err != nil {
				return nil, err
			}
			high, err := xys(s.Name+" (high)", s.X, s.High)
			if err != nil {
				return nil, err
			}
			band, err := ribbon(low, high, faint(c, 0.15))
			if err != nil {
				return nil, err
			}
			p.Add(band)
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("display: %s: %w", s.Name, err)
		}
		line.Color, line.Width = c, 1.8
		dots.GlyphStyle = draw.GlyphStyle{Color: c, Radius: 2.6, Shape: draw.CircleGlyph{}}
		p.Add(line, dots)
		if s.Name != "" {
			p.Legend.Add(s.Name, line, dots)
		}
	}
	if l.YMin != l.YMax {
		p.Y.Min, p.Y.Max = l.YMin, l.YMax
	}
	if l.Names != nil {
		p.NominalX(l.Names...)
	}
	if len(l.Series) > 1 {
		besideLegend(p, l.Series)
	}
	return p, nil
}

// Bundle shows the plot.
func (l Lines) Bundle() mime.Bundle {
	p, err := l.Plot()
	return bundleOf(p, err, defaultWidth, defaultHeight)
}

// besideLegend widens the horizontal axis so that a legend of these names stands beside the data, not on it.
func besideLegend(p *plot.Plot, all []Series) {
	longest := 0
	for _, s := range all {
		longest = max(longest, len(s.Name))
	}
	share := min(0.45, 0.08+0.0125*float64(longest))
	p.X.Max += (p.X.Max - p.X.Min) * share / (1 - share)
}

func xys(name string, x, y []float64) (plotter.XYs, error) {
	if len(x) != len(y) || len(x) == 0 {
		return nil, fmt.Errorf("display: %q has %d x values and %d y values", name, len(x), len(y))
	}
	out := make(plotter.XYs, len(x))
	for i := range x {
		if math.IsNaN(x[i]+y[i]) || math.IsInf(x[i]+y[i], 0) {
			return nil, fmt.Errorf("display: %q has the point (%v, %v) at %d", name, x[i], y[i], i)
		}
		out[i] = plotter.XY{X: x[i], Y: y[i]}
	}
	return out, nil
}

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

// Scatter plots points and, with Fit, the least-squares line with the 95% band of its mean:
// ŷ ± t·s·√(1/n + (x-x̄)²/Sxx), t of n-2 degrees of freedom.
type Scatter struct {
	Title, X, Y string
	Xs, Ys      []float64
	Fit         bool // takes three points or more
	Diagonal    bool // draws y = x
}

// Plot makes the plot.
func (s Scatter) Plot() (*plot.Plot, error) {
	points, err := xys("scatter", s.Xs, s.Ys)
	if err != nil {
		return nil, err
	}
	p := newPlot(s.Title, s.X, s.Y)
	low, high := points[0].X, points[0].X
	for _, xy := range points {
		low, high = min(low, xy.X), max(high, xy.X)
	}
	if s.Diagonal {
		line, err := plotter.NewLine(plotter.XYs{{X: low, Y: low}, {X: high, Y: high}})
		if err != nil {
			return nil, fmt.Errorf("display: %w", err)
		}
		line.Color, line.Dashes = color.Gray{0x99}, []vg.Length{4, 3}
		p.Add(line)
		p.Legend.Add("y = x", line)
	}
	if s.Fit {
		if len(points) < 3 || low == high {
			return nil, fmt.Errorf("display: a line through %d points between x = %v and %v has no band; it takes three points at different x", len(points), low, high)
		}
		intercept, slope := stat.LinearRegression(s.Xs, s.Ys, nil, false)
		n := float64(len(points))
		mean := stat.Mean(s.Xs, nil)
		var residual, spread float64
		for _, xy := range points {
			residual += math.Pow(xy.Y-intercept-slope*xy.X, 2)
			spread += math.Pow(xy.X-mean, 2)
		}
		t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 2}.Quantile(0.975)
		const steps = 60
		var fit, below, above plotter.XYs
		for i := range steps + 1 {
			x := low + (high-low)*float64(i)/steps
			y := intercept + slope*x
			half := t * math.Sqrt(residual/(n-2)*(1/n+(x-mean)*(x-mean)/spread))
			fit = append(fit, plotter.XY{X: x, Y: y})
			below = append(below, plotter.XY{X: x, Y: y - half})
			above = append(above, plotter.XY{X: x, Y: y + half})
		}
		band, err := ribbon(below, above, faint(seriesColor(1), 0.15))
		if err != nil {
			return nil, err
		}
		line, err := plotter.NewLine(fit)
		if err != nil {
			return nil, fmt.Errorf("display: %w", err)
		}
		line.Color, line.Width = seriesColor(1), 1.6
		p.Add(band, line)
		p.Legend.Add(fmt.Sprintf("y = %.4g + %.4g x", intercept, slope), line)
	}
	dots, err := plotter.NewScatter(points)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	dots.GlyphStyle = draw.GlyphStyle{Color: faint(seriesColor(0), 0.75), Radius: 2.8, Shape: draw.CircleGlyph{}}
	p.Add(dots)
	p.Legend.Left = true
	return p, nil
}

// Bundle shows the plot.
func (s Scatter) Bundle() mime.Bundle {
	p, err := s.Plot()
	return bundleOf(p, err, defaultWidth, defaultHeight)
}

// Bars plots a horizontal bar for each name, the first on top.
type Bars struct {
	Title, X string
	Names    []string
	Values   []float64
	// Format writes the value at a bar's end, such as "%.1f%%"; empty writes none.
	Format string
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
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("display: the bar %q is %v", b.Names[i], v)
		}
		values[n-1-i], names[n-1-i] = v, b.Names[i]
	}
	bars, err := plotter.NewBarChart(values, 14)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, seriesColor(0), 0
	p.Add(bars)
	p.NominalY(names...)
	if b.Format != "" {
		points, texts := make(plotter.XYs, n), make([]string, n)
		for i, v := range values {
			points[i] = plotter.XY{X: v, Y: float64(i)}
			texts[i] = " " + fmt.Sprintf(b.Format, v)
		}
		labels, err := plotter.NewLabels(plotter.XYLabels{XYs: points, Labels: texts})
		if err != nil {
			return nil, fmt.Errorf("display: %w", err)
		}
		for i := range labels.TextStyle {
			labels.TextStyle[i].Font.Size = 10
			labels.TextStyle[i].YAlign = draw.YCenter
		}
		p.Add(labels)
		p.X.Max += (p.X.Max - min(p.X.Min, 0)) * 0.15
	}
	p.X.Min = min(p.X.Min, 0)
	return p, nil
}

// Bundle shows the plot.
func (b Bars) Bundle() mime.Bundle {
	p, err := b.Plot()
	return bundleOf(p, err, defaultWidth, vg.Length(90+22*len(b.Values)))
}

// Histogram plots how often values lie where.
type Histogram struct {
	Title, X string
	Values   []float64
	Bins     int // 0 means the square root of the number of values
}

// Plot makes the plot.
func (h Histogram) Plot() (*plot.Plot, error) {
	if len(h.Values) == 0 {
		return nil, errors.New("display: a histogram has no values")
	}
	for i, v := range h.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("display: value %d of the histogram is %v", i, v)
		}
	}
	bins := h.Bins
	if bins == 0 {
		bins = int(math.Ceil(math.Sqrt(float64(len(h.Values)))))
	}
	p := newPlot(h.Title, h.X, "count")
	bars, err := plotter.NewHist(plotter.Values(h.Values), bins)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	bars.FillColor, bars.LineStyle.Color, bars.LineStyle.Width = seriesColor(0), color.White, 0.5
	p.Add(bars)
	return p, nil
}

// Bundle shows the plot.
func (h Histogram) Bundle() mime.Bundle {
	p, err := h.Plot()
	return bundleOf(p, err, defaultWidth, defaultHeight)
}

// Reliability is a reliability diagram: how often predictions of a confidence are right, in bins of equal
// width over 0..1, (lo, hi]. The distance to the diagonal is the miscalibration; a bin's point is as large as its share.
type Reliability struct {
	Title       string
	Confidences []float64 // of the predicted class, 0..1
	Correct     []bool
	Bins        int // 0 means 15
}

// Plot makes the plot.
func (r Reliability) Plot() (*plot.Plot, error) {
	if len(r.Confidences) == 0 || len(r.Confidences) != len(r.Correct) {
		return nil, fmt.Errorf("display: %d confidences have %d verdicts", len(r.Confidences), len(r.Correct))
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
	p := newPlot(r.Title, "confidence", "accuracy")
	diagonal, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	diagonal.Color, diagonal.Dashes = color.Gray{0x99}, []vg.Length{4, 3}
	p.Add(diagonal)
	var points plotter.XYs
	var share []float64
	for b := range bins {
		if count[b] == 0 {
			continue
		}
		x, y := sum[b]/count[b], right[b]/count[b]
		gap, err := plotter.NewLine(plotter.XYs{{X: x, Y: x}, {X: x, Y: y}})
		if err != nil {
			return nil, fmt.Errorf("display: %w", err)
		}
		gap.Color, gap.Width = faint(seriesColor(1), 0.5), 5
		p.Add(gap)
		points = append(points, plotter.XY{X: x, Y: y})
		share = append(share, count[b]/float64(len(r.Confidences)))
	}
	dots, err := plotter.NewScatter(points)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	dots.GlyphStyleFunc = func(i int) draw.GlyphStyle {
		return draw.GlyphStyle{Color: seriesColor(0), Radius: vg.Length(2 + 7*math.Sqrt(share[i])), Shape: draw.CircleGlyph{}}
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	line.Color, line.Width = seriesColor(0), 1.2
	p.Add(line, dots)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	return p, nil
}

// Bundle shows the plot.
func (r Reliability) Bundle() mime.Bundle {
	p, err := r.Plot()
	return bundleOf(p, err, 360, 360)
}

// Confusion is a confusion matrix: Counts[i][j] examples of class i were given class j.
type Confusion struct {
	Title   string
	Counts  [][]float64
	Classes []string
	// Normalize divides each row by its sum.
	Normalize bool
}

type matrix [][]float64

func (m matrix) Dims() (c, r int)   { return len(m), len(m) }
func (m matrix) X(c int) float64    { return float64(c) }
func (m matrix) Y(r int) float64    { return float64(r) }
func (m matrix) Z(c, r int) float64 { return m[len(m)-1-r][c] }

type shades ColorMap

func (s shades) Colors() []color.Color {
	var out []color.Color
	for i := range 64 {
		f := float64(i) / 63
		mix := func(to uint8) uint8 { return uint8(math.Round(255 + f*(float64(to)-255))) }
		out = append(out, color.RGBA{mix(0), mix(85), mix(140), 255})
	}
	return out
}

// Plot makes the plot.
func (c Confusion) Plot() (*plot.Plot, error) {
	n := len(c.Counts)
	if n == 0 || c.Classes != nil && len(c.Classes) != n {
		return nil, fmt.Errorf("display: a confusion matrix of %d rows has %d class names", n, len(c.Classes))
	}
	m := make(matrix, n)
	largest := 0.0
	for i, row := range c.Counts {
		if len(row) != n {
			return nil, fmt.Errorf("display: row %d of the confusion matrix has %d columns, not %d", i, len(row), n)
		}
		var sum float64
		for _, v := range row {
			if !(v >= 0) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("display: row %d of the confusion matrix has the count %v", i, v)
			}
			sum += v
		}
		m[i] = append([]float64(nil), row...)
		for j := range m[i] {
			if c.Normalize && sum > 0 {
				m[i][j] /= sum
			}
			largest = max(largest, m[i][j])
		}
	}
	p := newPlot(c.Title, "predicted", "true")
	heat := plotter.NewHeatMap(m, shades{})
	heat.Min, heat.Max = 0, max(largest, 1e-9)
	p.Add(heat)
	if n <= 20 {
		var points plotter.XYs
		var texts []string
		for i := range n {
			for j := range n {
				points = append(points, plotter.XY{X: float64(j), Y: float64(n - 1 - i)})
				text := strconv.FormatFloat(m[i][j], 'f', -1, 64)
				if c.Normalize {
					text = fmt.Sprintf("%.2f", m[i][j])
				}
				if m[i][j] == 0 {
					text = ""
				}
				texts = append(texts, text)
			}
		}
		labels, err := plotter.NewLabels(plotter.XYLabels{XYs: points, Labels: texts})
		if err != nil {
			return nil, fmt.Errorf("display: %w", err)
		}
		for k := range labels.TextStyle {
			labels.TextStyle[k].Font.Size = 9
			labels.TextStyle[k].XAlign, labels.TextStyle[k].YAlign = draw.XCenter, draw.YCenter
			if m[k/n][k%n] > largest/2 {
				labels.TextStyle[k].Color = color.White
			}
		}
		p.Add(labels)
	}
	names := c.Classes
	if names == nil {
		for i := range n {
			names = append(names, strconv.Itoa(i))
		}
	}
	if n <= 30 {
		reversed := make([]string, n)
		for i, name := range names {
			reversed[n-1-i] = name
		}
		p.NominalX(names...)
		p.NominalY(reversed...)
		p.X.Tick.Label.Rotation = math.Pi / 4
		p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
	}
	return p, nil
}

// Bundle shows the plot.
func (c Confusion) Bundle() mime.Bundle {
	p, err := c.Plot()
	side := vg.Length(min(max(320, 130+34*len(c.Counts)), 760))
	return bundleOf(p, err, side+40, side)
}
