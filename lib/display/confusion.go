package display

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/loupeml/loupe/lib/internal/picture"
	"github.com/loupeml/loupe/lib/mime"
)

// Confusion is a confusion matrix: Counts[i][j] examples of class i were given class j.
type Confusion struct {
	Title   string
	Counts  [][]float64
	Classes []string // nil for numbers
	// Normalize divides each row by its sum.
	Normalize bool
	// Rows and Columns say what these are; "" means "true" and "predicted".
	Rows, Columns string
}

// Up to so many classes the cells have their numbers written in, and the classes their names.
const (
	mostNumbered = 20
	mostNamed    = 40
	mostClasses  = 10_000
)

// cells draws a matrix of shares of the largest value, row 0 on top.
type cells [][]float64

// shade runs from a faint grey to dark blue.
func shade(v float64) color.RGBA {
	mix := func(from, to float64) uint8 { return uint8(math.Round(from + v*(to-from))) }
	return color.RGBA{mix(0xf3, 0), mix(0xf5, 78), mix(0xf7, 134), 255}
}

func (m cells) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	n := len(m)
	if n > mostNamed { // too small for single shapes
		img := image.NewRGBA(image.Rect(0, 0, n, n))
		for i, row := range m {
			for j, v := range row {
				img.SetRGBA(j, i, shade(v))
			}
		}
		side := int((x(float64(n)) - x(0)) * pixelRatio)
		c.DrawImage(vg.Rectangle{Min: vg.Point{X: x(-0.5), Y: y(-0.5)},
			Max: vg.Point{X: x(float64(n) - 0.5), Y: y(float64(n) - 0.5)}}, picture.Resized(img, max(side, n)))
		return
	}
	const gap = 0.5
	for i, row := range m {
		for j, v := range row {
			left, right := x(float64(j)-0.5)+gap, x(float64(j)+0.5)-gap
			bottom, top := y(float64(n-1-i)-0.5)+gap, y(float64(n-1-i)+0.5)-gap
			c.FillPolygon(shade(v), []vg.Point{{X: left, Y: bottom}, {X: right, Y: bottom}, {X: right, Y: top},
				{X: left, Y: top}})
		}
	}
}

// slant turns the names under a plot so that they do not run into each other.
func slant(a *plot.Axis) {
	a.Tick.Label.Rotation = math.Pi / 4
	a.Tick.Label.XAlign, a.Tick.Label.YAlign = draw.XRight, draw.YCenter
}

// values are the counts, or each row's shares, and the largest of all.
func (c Confusion) values() (m [][]float64, largest float64, err error) {
	n := len(c.Counts)
	if n > mostClasses {
		return nil, 0, fmt.Errorf("display: a confusion matrix of %d classes is larger than a picture: it may have %d", n,
			mostClasses)
	}
	if n == 0 || c.Classes != nil && len(c.Classes) != n {
		return nil, 0, fmt.Errorf("display: a confusion matrix of %d rows has %d class names", n, len(c.Classes))
	}
	m = make([][]float64, n)
	for i, row := range c.Counts {
		if len(row) != n {
			return nil, 0, fmt.Errorf("display: row %d of the confusion matrix has %d columns, not %d", i, len(row), n)
		}
		var sum float64
		for _, v := range row {
			if v < 0 || !finite(v) {
				return nil, 0, fmt.Errorf("display: row %d of the confusion matrix has the count %v", i, v)
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
	return m, largest, nil
}

// Plot makes the plot.
func (c Confusion) Plot() (*plot.Plot, error) {
	m, largest, err := c.values()
	if err != nil {
		return nil, err
	}
	n := len(m)
	columns := cmp.Or(c.Columns, "predicted")
	p := newPlot(c.Title, columns, cmp.Or(c.Rows, "true"))
	shares := make(cells, n)
	for i, row := range m {
		shares[i] = make([]float64, n)
		for j, v := range row {
			shares[i][j] = v / max(largest, 1e-300)
		}
	}
	p.Add(shares)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(n)-0.5, -0.5, float64(n)-0.5
	p.X.LineStyle.Width = 0
	if n > mostNumbered {
		p.X.Label.Text = fmt.Sprintf("%s (darkest: %.4g)", columns, largest)
	} else if err := c.number(p, m, shares); err != nil {
		return nil, err
	}
	names := c.names()
	if n > mostNamed {
		// Only every so many, by number: there is no room for names.
		every := int(math.Pow(10, math.Ceil(math.Log10(float64(n)/10))))
		var x, y plot.ConstantTicks
		for i := 0; i < n; i += every {
			x = append(x, plot.Tick{Value: float64(i), Label: strconv.Itoa(i)})
			y = append(y, plot.Tick{Value: float64(n - 1 - i), Label: strconv.Itoa(i)})
		}
		p.X.Tick.Marker, p.Y.Tick.Marker = x, y
		return p, nil
	}
	reversed := make([]string, n)
	for i, name := range names {
		reversed[n-1-i] = name
	}
	reversed, _ = wrapNames(p.Y, reversed)
	nameTicks(&p.X, names)
	nameTicks(&p.Y, reversed)
	if longest(p.X, names) > c.cell()-4 {
		slant(&p.X)
	}
	return p, nil
}

// number writes the values into the cells.
func (c Confusion) number(p *plot.Plot, m, shares [][]float64) error {
	n := len(m)
	var points plotter.XYs
	var texts []string
	for i, row := range m {
		for j, v := range row {
			points = append(points, plotter.XY{X: float64(j), Y: float64(n - 1 - i)})
			text := strconv.FormatFloat(v, 'g', 5, 64)
			if c.Normalize {
				text = fmt.Sprintf("%.2f", v)
			}
			if v == 0 {
				text = ""
			}
			texts = append(texts, text)
		}
	}
	labels, err := plotter.NewLabels(plotter.XYLabels{XYs: points, Labels: texts})
	if err != nil {
		return fmt.Errorf("display: %w", err)
	}
	for k := range labels.TextStyle {
		style := &labels.TextStyle[k]
		style.Font.Size, style.Color = 10, color.Color(ink)
		style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
		if shares[k/n][k%n] > 0.45 {
			style.Color = color.White
		}
	}
	p.Add(labels)
	return nil
}

func (c Confusion) names() []string {
	if c.Classes != nil {
		return c.Classes
	}
	names := make([]string, len(c.Counts))
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// cell is the side of a cell.
func (c Confusion) cell() vg.Length {
	switch n := vg.Length(len(c.Counts)); {
	case n <= 5:
		return 52
	case n <= mostNumbered:
		return 36
	case n <= mostNamed:
		return 16
	default:
		return 560 / n
	}
}

func (c Confusion) layout() layout {
	p := newPlot("", "", "")
	side := c.cell() * vg.Length(len(c.Counts))
	l := layout{width: side + 46, height: side + 44}
	if c.Title != "" {
		l.height += 28
	}
	if len(c.Counts) > mostNamed {
		l.width += 24
		l.height += 12
		return l
	}
	names := c.names()
	wide := longest(p.Y, names)
	l.width += min(wide, nameRoom)
	if wide > c.cell()-4 {
		l.height += wide * math.Sqrt2 / 2 // slanted
		if left := (wide - c.cell()) * math.Sqrt2 / 2; left > 0 {
			l.width = max(l.width, side+46+left)
		}
	} else {
		l.height += 12
	}
	return l
}

// Image draws the plot at twice the size of the screen's pixels.
func (c Confusion) Image() (image.Image, error) { return chartImage(c) }

// Bundle shows the plot.
func (c Confusion) Bundle() mime.Bundle { return chartBundle(c) }
