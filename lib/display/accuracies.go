package display

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
)

// AccuracyScatter plots models' accuracies under two conditions against each other, on axes of a scale and marked in
// percent, with y = x and a fit: the figures of Recht et al., ICML 2019, and Taori et al., NeurIPS 2020. In a notebook
// a point tells its model when the mouse is over it.
type AccuracyScatter struct {
	Title, X, Y string // X and Y are the conditions' names
	Scale       stats.AxisScale
	Points      []AccuracyPoint
	// the names of the groups for the legend, which have one colour each; nil if there is one without a name
	Groups []string
	// Fit is drawn with the 95% band of 1,000 bootstrap samples of its models; nil for none.
	Fit stats.AccuracyFit
	// Width is that of the plot without its legend, in pixels of the screen, and at least 200; 0 means 560. The height
	// goes with it.
	Width float64
	// Still shows a picture alone, without the page that tells models under the mouse: of very many models that is
	// long.
	Still bool
}

// AccuracyPoint is a model. Accuracies are in 0..1.
type AccuracyPoint struct {
	Name                 string
	X, Y                 float64
	XInterval, YInterval stats.Interval // drawn as bars; zero for none
	Group                int
	Label                bool // writes the name beside the point, which is drawn larger
}

const (
	bandDraws = 1000
	bandSteps = 80
)

// Plot makes the plot. A model with an accuracy of 0 or 1 is infinitely far out on the scales of probits and logits: it
// is not drawn, and the legend says so.
func (s AccuracyScatter) Plot() (*plot.Plot, error) {
	p, _, err := s.plot()
	return p, err
}

// plot makes the plot, and the record of where the models are once it is drawn.
func (s AccuracyScatter) plot() (*plot.Plot, *places, error) {
	shown, at, err := s.shown()
	if err != nil {
		return nil, nil, err
	}
	p := newPlot(s.Title, s.X+", accuracy in %", s.Y+", accuracy in %")
	p.X.Tick.Marker, p.Y.Tick.Marker = accuracyTicks{s.Scale}, accuracyTicks{s.Scale}
	low, high := bounds(at)
	diagonal, err := diagonalLine(min(low.X, low.Y)-1, max(high.X, high.Y)+1) // cut off at the edges
	if err != nil {
		return nil, nil, err
	}
	p.Add(diagonal)
	p.Legend.Add("y = x", diagonal)
	if err := s.addBars(p, shown); err != nil {
		return nil, nil, err
	}
	middle := plotter.XY{X: (low.X + high.X) / 2, Y: (low.Y + high.Y) / 2}
	for g := range max(1, len(s.Groups)) {
		var members, large plotter.XYs
		var names []string
		for i, point := range shown {
			switch {
			case point.Group != g:
			case point.Label:
				large, names = append(large, at[i]), append(names, point.Name)
			default:
				members = append(members, at[i])
			}
		}
		style := draw.GlyphStyle{Color: faint(seriesColor(g), 0.6), Radius: 2.6, Shape: groupShape(g)}
		if err := addGlyphs(p, members, style); err != nil {
			return nil, nil, err
		}
		style.Color, style.Radius = seriesColor(g), 4.2
		if err := addGlyphs(p, large, style); err != nil {
			return nil, nil, err
		}
		if len(large) > 0 {
			labels, err := plotter.NewLabels(plotter.XYLabels{XYs: large, Labels: names})
			if err != nil {
				return nil, nil, fmt.Errorf("display: %w", err)
			}
			for i := range labels.TextStyle {
				labels.TextStyle[i].Font.Size, labels.TextStyle[i].Color = 9.5, ink
				labels.TextStyle[i].XAlign, labels.TextStyle[i].YAlign = draw.XLeft, draw.YTop
				if s.above(large[i], middle) { // away from the other models, which rise from left to right
					labels.TextStyle[i].XAlign, labels.TextStyle[i].YAlign = draw.XRight, draw.YBottom
				}
			}
			p.Add(sided{labels})
		}
		if g < len(s.Groups) && len(members)+len(large) > 0 {
			style.Radius = 3
			p.Legend.Add(s.Groups[g], glyphThumbnail(style))
		}
	}
	if err := s.addFit(p, low.X, high.X); err != nil {
		return nil, nil, err
	}
	if left := len(s.Points) - len(shown); left > 0 {
		p.Legend.Add(fmt.Sprintf("%d at 0%% or 100%%, not drawn", left))
	}
	record := &places{of: at}
	p.Add(record)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = low.X, high.X, low.Y, high.Y
	widen(&p.X, 0.04)
	widen(&p.Y, 0.04)
	return p, record, nil
}

// shown are the models that the axes have room for, and where on the scale.
func (s AccuracyScatter) shown() (shown []AccuracyPoint, at plotter.XYs, err error) {
	if s.Scale < stats.Linear || s.Scale > stats.Logit {
		return nil, nil, fmt.Errorf("display: there is no axis scale %d", int(s.Scale))
	}
	if s.Width != 0 && !(s.Width >= 200 && s.Width <= 4000) {
		return nil, nil, fmt.Errorf("display: a plot of accuracies is 200 to 4000 pixels wide, not %v", s.Width)
	}
	for _, p := range s.Points {
		if !(p.X >= 0 && p.X <= 1 && p.Y >= 0 && p.Y <= 1) {
			return nil, nil, fmt.Errorf("display: the accuracies of %s are %v and %v: they lie between 0 and 1",
				p.Name, p.X, p.Y)
		}
		if p.Group < 0 || p.Group >= max(1, len(s.Groups)) {
			return nil, nil, fmt.Errorf("display: %s is in group %d, and there are %d", p.Name, p.Group, max(1, len(s.Groups)))
		}
		xy := plotter.XY{X: s.Scale.Of(p.X), Y: s.Scale.Of(p.Y)}
		if finite(xy.X) && finite(xy.Y) {
			shown, at = append(shown, p), append(at, xy)
		}
	}
	if len(shown) == 0 {
		return nil, nil, fmt.Errorf("display: a plot of the accuracies of %d models has none to draw", len(s.Points))
	}
	return shown, at, nil
}

func bounds(points plotter.XYs) (low, high plotter.XY) {
	low, high = points[0], points[0]
	for _, p := range points {
		low.X, low.Y = min(low.X, p.X), min(low.Y, p.Y)
		high.X, high.Y = max(high.X, p.X), max(high.Y, p.Y)
	}
	return low, high
}

// addBars draws the intervals, all of a group as one shape.
func (s AccuracyScatter) addBars(p *plot.Plot, shown []AccuracyPoint) error {
	for g := range max(1, len(s.Groups)) {
		bars := crosses{style: draw.LineStyle{Color: faint(seriesColor(g), 0.35), Width: 0.5}}
		for _, point := range shown {
			if point.Group != g {
				continue
			}
			x, y := s.Scale.Of(point.X), s.Scale.Of(point.Y)
			if i := point.XInterval; i != (stats.Interval{}) {
				bars.lines = append(bars.lines, [2]plotter.XY{{X: s.inner(i.Low), Y: y}, {X: s.inner(i.High), Y: y}})
			}
			if i := point.YInterval; i != (stats.Interval{}) {
				bars.lines = append(bars.lines, [2]plotter.XY{{X: x, Y: s.inner(i.Low)}, {X: x, Y: s.inner(i.High)}})
			}
		}
		if len(bars.lines) > 0 {
			p.Add(bars)
		}
	}
	return nil
}

// inner is where an interval's end is drawn: one at 0 or 1 just inside.
func (s AccuracyScatter) inner(accuracy float64) float64 {
	return s.Scale.Of(min(max(accuracy, 1e-6), 1-1e-6))
}

// crosses draws lines, cut off at the plot's edges, as one path.
type crosses struct {
	lines [][2]plotter.XY
	style draw.LineStyle
}

func (b crosses) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var path vg.Path
	for _, l := range b.lines {
		for _, part := range c.ClipLinesXY([]vg.Point{{X: x(l[0].X), Y: y(l[0].Y)}, {X: x(l[1].X), Y: y(l[1].Y)}}) {
			path.Move(part[0])
			path.Line(part[len(part)-1])
		}
	}
	c.SetLineStyle(b.style)
	c.Stroke(path)
}

func addGlyphs(p *plot.Plot, at plotter.XYs, style draw.GlyphStyle) error {
	if len(at) == 0 {
		return nil
	}
	dots, err := plotter.NewScatter(at)
	if err != nil {
		return fmt.Errorf("display: %w", err)
	}
	dots.GlyphStyle = style
	p.Add(dots)
	return nil
}

// groupShape tells those apart that share a colour.
func groupShape(g int) draw.GlyphDrawer {
	return []draw.GlyphDrawer{draw.CircleGlyph{}, draw.PyramidGlyph{}, draw.SquareGlyph{}}[g/len(series)%3]
}

type glyphThumbnail draw.GlyphStyle

func (g glyphThumbnail) Thumbnail(c *draw.Canvas) { c.DrawGlyph(draw.GlyphStyle(g), c.Center()) }

// above tells whether a point lies above the fit, or without one is nearer to the plot's right edge.
func (s AccuracyScatter) above(at, middle plotter.XY) bool {
	if s.Fit == nil {
		return at.X > middle.X
	}
	return at.Y > s.Scale.Of(s.Fit.Predict(s.Scale.Accuracy(at.X)))
}

// sided are labels that stand off their points to the side that they are aligned to.
type sided struct{ *plotter.Labels }

func (l sided) Plot(c draw.Canvas, p *plot.Plot) {
	for i := range l.XYs {
		one := *l.Labels
		one.XYs, one.Labels, one.TextStyle = l.XYs[i:i+1], l.Labels.Labels[i:i+1], l.TextStyle[i:i+1]
		one.Offset = vg.Point{X: 5, Y: -3}
		if one.TextStyle[0].XAlign == draw.XRight {
			one.Offset = vg.Point{X: -5, Y: 3}
		}
		one.Plot(c, p)
	}
}

// addFit draws the fit and its band from low to high.
func (s AccuracyScatter) addFit(p *plot.Plot, low, high float64) error {
	if s.Fit == nil {
		return nil
	}
	xs := make([]float64, bandSteps+1)
	for i := range xs {
		xs[i] = s.Scale.Accuracy(low + (high-low)*float64(i)/bandSteps)
	}
	band, err := s.Fit.Band(xs, bandDraws, 0.05, 1)
	if err != nil {
		return err
	}
	// The pieces of a fit that parts are drawn apart: where it jumps, a line begins anew.
	var pieces [][]int
	for i := range xs {
		if i == 0 || s.pieceOf(xs[i]) != s.pieceOf(xs[i-1]) {
			pieces = append(pieces, nil)
		}
		pieces[len(pieces)-1] = append(pieces[len(pieces)-1], i)
	}
	for k, piece := range pieces {
		var middle, below, above plotter.XYs
		for _, i := range piece {
			x := s.Scale.Of(xs[i])
			for _, to := range []struct {
				line     *plotter.XYs
				accuracy float64
			}{{&middle, s.Fit.Predict(xs[i])}, {&below, band[i].Low}, {&above, band[i].High}} {
				*to.line = append(*to.line, plotter.XY{X: x, Y: s.inner(to.accuracy)})
			}
		}
		area, err := ribbon(below, above, faint(fitColor, 0.22))
		if err != nil {
			return err
		}
		line, err := plotter.NewLine(middle)
		if err != nil {
			return fmt.Errorf("display: %w", err)
		}
		line.Color, line.Width = fitColor, 1.4
		p.Add(area, line)
		if k == 0 {
			name := "linear fit"
			if len(pieces) > 1 {
				name = "linear fit, in pieces"
			}
			p.Legend.Add(name+", 95% band", area, line)
		}
	}
	return nil
}

var fitColor = color.RGBA{200, 30, 40, 255}

func (s AccuracyScatter) pieceOf(x float64) bool {
	f, parts := s.Fit.(*stats.PiecewiseLine)
	return parts && x > f.Pivot
}

func (s AccuracyScatter) layout() layout {
	d := layout{width: 560, height: 430}
	if s.Width != 0 {
		d.width, d.height = vg.Length(s.Width), vg.Length(s.Width)*430/560
	}
	d.legendBeside = true // points and line may lie in any corner
	return d
}

// Image draws the plot at twice the size of the screen's pixels.
func (s AccuracyScatter) Image() (image.Image, error) { return chartImage(s) }

// Bundle shows the plot: as HTML, where a point tells its model and accuracies when the mouse is over it (without
// script or network), and as a picture for where that cannot be shown.
func (s AccuracyScatter) Bundle() mime.Bundle {
	bundle := chartBundle(s)
	if s.Still {
		return bundle
	}
	page, err := s.hover()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	bundle.Data[mime.HTML] = page
	return bundle
}

// places records where points are drawn.
type places struct {
	of plotter.XYs
	at []vg.Point
}

func (r *places) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	r.at = nil
	for _, xy := range r.of {
		r.at = append(r.at, vg.Point{X: x(xy.X), Y: y(xy.Y)})
	}
}

// hover is the plot as SVG within HTML, with a circle over each point that bears its title.
func (s AccuracyScatter) hover() (string, error) {
	p, record, err := s.plot()
	if err != nil {
		return "", err
	}
	var height vg.Length
	canvas := drawn(p, s.layout(), func(w, h vg.Length) *vgsvg.Canvas {
		height = h
		return vgsvg.New(w, h)
	})
	var buf bytes.Buffer
	if _, err := canvas.WriteTo(&buf); err != nil {
		return "", fmt.Errorf("display: %w", err)
	}
	svg := buf.String()
	// without the XML declaration, which HTML has no place for
	svg = svg[max(0, strings.Index(svg, "<svg")):]
	// as large as the picture: pixels, not points
	svg = strings.NewReplacer(`pt" height="`, `" height="`, `pt" viewBox=`, `" viewBox=`).Replace(svg)
	end := strings.LastIndex(svg, "</svg>")
	if end < 0 {
		return "", fmt.Errorf("display: the SVG of %q does not end", s.Title)
	}
	shown, _, err := s.shown()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.WriteString(svg[:end])
	out.WriteString(`<g fill="transparent">` + "\n")
	// Larger points are found first, being on top.
	order := make([]int, len(shown))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return btoi(shown[a].Label) - btoi(shown[b].Label) })
	for _, i := range order {
		point, at := shown[i], record.at[i]
		title := fmt.Sprintf("%s\n%s: %.2f%%\n%s: %.2f%%", point.Name, s.X, 100*point.X, s.Y, 100*point.Y)
		if point.Group < len(s.Groups) {
			title += "\n" + s.Groups[point.Group]
		}
		if s.Fit != nil {
			title += fmt.Sprintf("\neffective robustness %+.2f points",
				stats.EffectiveRobustness(s.Fit, stats.AccuracyPair{Model: point.Name, X: point.X, Y: point.Y}))
		}
		fmt.Fprintf(&out, `<circle cx="%.1f" cy="%.1f" r="4"><title>%s</title></circle>`+"\n", float64(at.X),
			float64(height-at.Y), html.EscapeString(title))
	}
	out.WriteString("</g>\n</svg>")
	return `<div style="background:white;max-width:max-content">` + out.String() + "</div>", nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// accuracyTicks marks accuracies in percent on a scale.
type accuracyTicks struct{ scale stats.AxisScale }

// Ticks marks round percentages: on linear axes a step apart; on stretched ones coarse steps before fine ones, where
// there is room, and those near 0 and 100.
func (t accuracyTicks) Ticks(low, high float64) []plot.Tick {
	if t.scale == stats.Linear {
		marks := ticks{}.Ticks(100*low, 100*high)
		for i := range marks {
			marks[i].Value /= 100
		}
		return marks
	}
	room := (high - low) * 0.058
	var marks []plot.Tick
	add := func(percent float64, decimals int) {
		at := t.scale.Of(percent / 100)
		if !(at >= low && at <= high) {
			return
		}
		for _, m := range marks {
			if math.Abs(m.Value-at) < room {
				return
			}
		}
		marks = append(marks, plot.Tick{Value: at, Label: fmt.Sprintf("%.*f", decimals, percent)})
	}
	for _, step := range []struct {
		percent  float64
		decimals int
	}{{10, 0}, {5, 0}, {1, 0}, {0.5, 1}, {0.1, 1}, {0.01, 2}} {
		if len(marks) > 5 {
			break
		}
		for k := 1.0; k*step.percent < 100; k++ {
			add(k*step.percent, step.decimals)
		}
	}
	for _, tail := range []float64{5, 2, 1, 0.5, 0.2, 0.1} {
		decimals := 0
		if tail < 1 {
			decimals = 1
		}
		add(tail, decimals)
		add(100-tail, decimals)
	}
	slices.SortFunc(marks, func(a, b plot.Tick) int { return cmp.Compare(a.Value, b.Value) })
	return marks
}
