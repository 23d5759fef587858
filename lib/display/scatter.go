package display

import (
	"fmt"
	"image"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"github.com/loupeml/loupe/lib/mime"
)

// Scatter plots points and, with Fit, the least-squares line with the 95% band of its mean:
// ŷ ± t·s·√(1/n + (x-x̄)²/Sxx), t of n-2 degrees of freedom (Draper and Smith 1998, section 3.1).
type Scatter struct {
	Title, X, Y string
	Xs, Ys      []float64
	Fit         bool // takes three points or more
	Diagonal    bool // draws y = x
	// Groups colours the points by the number of their group; nil for one colour. Names are the groups' for the legend.
	Groups []int
	Names  []string
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
		line, err := diagonalLine(low, high)
		if err != nil {
			return nil, err
		}
		p.Add(line)
		p.Legend.Add("y = x", line)
	}
	p.Legend.Left = true
	if s.Fit {
		fit, err := leastSquares(s.Xs, s.Ys)
		if err != nil {
			return nil, err
		}
		if fit.slope < 0 { // the corner that the points leave free
			p.Legend.Left, p.Legend.XOffs = false, -6
		}
		const steps = 60
		var middle, below, above plotter.XYs
		for i := range steps + 1 {
			x := low + (high-low)*float64(i)/steps
			y, half := fit.at(x)
			middle = append(middle, plotter.XY{X: x, Y: y})
			below = append(below, plotter.XY{X: x, Y: y - half})
			above = append(above, plotter.XY{X: x, Y: y + half})
		}
		band, err := ribbon(below, above, faint(seriesColor(1), 0.18))
		if err != nil {
			return nil, err
		}
		line, err := plotter.NewLine(middle)
		if err != nil {
			return nil, fmt.Errorf("display: %w", err)
		}
		line.Color, line.Width = seriesColor(1), 1.6
		p.Add(band, line)
		sign := "+"
		if fit.slope < 0 {
			sign = "−"
		}
		p.Legend.Add(fmt.Sprintf("y = %.3g %s %.3g x, 95%% band", fit.intercept, sign, math.Abs(fit.slope)), band, line)
	}
	groups, err := s.groups(points)
	if err != nil {
		return nil, err
	}
	for g, members := range groups {
		if len(members) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(members)
		if err != nil {
			return nil, fmt.Errorf("display: %w", err)
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: faint(seriesColor(g), 0.7), Radius: 2.8, Shape: draw.CircleGlyph{}}
		p.Add(dots)
		if g < len(s.Names) {
			p.Legend.Add(s.Names[g], dots)
		}
	}
	widen(&p.X, 0.03)
	widen(&p.Y, 0.05)
	return p, nil
}

// groups divides the points by their groups.
func (s Scatter) groups(points plotter.XYs) ([]plotter.XYs, error) {
	if s.Groups == nil {
		return []plotter.XYs{points}, nil
	}
	if len(s.Groups) != len(points) {
		return nil, fmt.Errorf("display: a scatter plot of %d points has %d groups: give one for each", len(points),
			len(s.Groups))
	}
	var groups []plotter.XYs
	for i, g := range s.Groups {
		if g < 0 || g >= len(points) {
			return nil, fmt.Errorf(
				"display: point %d of a scatter plot is in group %d: groups are counted from 0, and there are no more than points",
				i, g)
		}
		for len(groups) <= g {
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], points[i])
	}
	return groups, nil
}

func (s Scatter) layout() layout {
	d := defaultLayout
	d.legendBeside = s.Groups != nil // which may lie in any corner
	return d
}

// Image draws the plot at twice the size of the screen's pixels.
func (s Scatter) Image() (image.Image, error) { return chartImage(s) }

// Bundle shows the plot.
func (s Scatter) Bundle() mime.Bundle { return chartBundle(s) }

// line is a fitted line with what its band takes.
type line struct {
	intercept, slope float64
	n, mean, spread  float64 // of the x values; spread is Sxx
	variance, t      float64 // of the residuals; 97.5% point of Student's t
}

func leastSquares(xs, ys []float64) (line, error) {
	n := float64(len(xs))
	l := line{n: n, mean: stat.Mean(xs, nil)}
	for _, x := range xs {
		l.spread += (x - l.mean) * (x - l.mean)
	}
	if len(xs) < 3 || l.spread == 0 {
		return l, fmt.Errorf("display: a line through %d points has no band; it takes three points at different x", len(xs))
	}
	l.intercept, l.slope = stat.LinearRegression(xs, ys, nil, false)
	for i := range xs {
		r := ys[i] - l.intercept - l.slope*xs[i]
		l.variance += r * r / (n - 2)
	}
	l.t = distuv.StudentsT{Sigma: 1, Nu: n - 2}.Quantile(0.975)
	return l, nil
}

// at returns the line's height and half the width of its band.
func (l line) at(x float64) (y, half float64) {
	return l.intercept + l.slope*x, l.t * math.Sqrt(l.variance*(1/l.n+(x-l.mean)*(x-l.mean)/l.spread))
}
