package missing

import (
	"fmt"
	"image"
	"image/color"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// state says what becomes of the segments that are counted.
func (c *Curve) state() string {
	if c.Keep {
		return "kept"
	}
	return "missing"
}

// axis says what is counted.
func (c *Curve) axis() string { return "segments " + c.state() + ", %" }

// Plot shows in how many images the prediction stays what it is for the whole image, with the exact 95% interval.
func (c *Curve) Plot() (display.Lines, error) {
	s, err := c.Series(c.How)
	return display.Lines{Title: c.Model, X: c.axis(), Y: "same prediction, %", YMin: 0, YMax: 100,
		Series: []display.Series{s}}, err
}

// Table is a row for each step: the agreement with its exact 95% interval, and the entropy of the predicted classes.
func (c *Curve) Table() (table.Table, error) {
	t := table.Table{Title: c.Model + ", " + c.How, Header: []string{"segments", c.axis(), "same prediction",
		"entropy of the classes, nats"}}
	for step, count := range c.Counts {
		share, interval, err := c.Agreement(step)
		if err != nil {
			return t, err
		}
		entropy, err := c.Entropy(step)
		if err != nil {
			return t, err
		}
		t.Add(count, c.Percent(step), table.Rate{Value: share, Low: interval.Low, High: interval.High}, entropy)
	}
	return t, nil
}

// Bundle shows the plot.
func (c *Curve) Bundle() mime.Bundle { return display.Shown(c.Plot()) }

// Grid shows the coefficients as heatmaps, with the class explained and how well the linear model fits.
func (e *Explanations) Grid() (display.Grid, error) {
	var titles []string
	for i := range e.Classes {
		titles = append(titles, fmt.Sprintf("%s\nR² %.2f", e.name(i), e.R2[i]))
	}
	g, err := display.HeatGrid(e.Heatmaps(), titles...)
	if g.Title == "" {
		g.Title = fmt.Sprintf("%s, %s taken away: %s", e.method(), e.Segments.Name, e.How)
	}
	return g, err
}

// name is what the class of an image is called.
func (e *Explanations) name(i int) string {
	if i < len(e.ClassNames) {
		return e.ClassNames[i]
	}
	return fmt.Sprint("class ", e.Classes[i])
}

// Table is for each image the class explained, the linear model's intercept and R², and the coefficients of its
// segments.
func (e *Explanations) Table() table.Table {
	return table.PerImage{Columns: []table.Column{table.ColumnOf("class", e.Classes),
		{Name: "name", At: func(i int) any { return e.name(i) }}, table.ColumnOf("R²", e.R2),
		table.ColumnOf("intercept", e.Intercepts), table.ColumnOf("coefficient", e.Coefficients)}}.Table(e.Len())
}

// Bundle shows the grid.
func (e *Explanations) Bundle() mime.Bundle { return display.Shown(e.Grid()) }

// Grid shows the segments in colours.
func (s *Segments) Grid() (display.Grid, error) {
	const most = 40
	h, w := s.dims()
	var pictures []any
	var titles []string
	for i := range min(s.Len(), most) {
		img := image.NewRGBA(image.Rect(0, 0, w, h))
		for at, label := range s.of(i) {
			// Neighbours differ in number by little, and are to differ in colour by much.
			turn := uint32(label) * 2654435761
			img.SetRGBA(at%w, at/w, color.RGBA{96 + uint8(turn>>24)%150, 96 + uint8(turn>>16)%150, 96 + uint8(turn>>8)%150, 255})
		}
		pictures, titles = append(pictures, img), append(titles, plural.Of(s.Counts[i], "segment"))
	}
	g := display.Gallery(pictures, titles...)
	g.Title = s.Name
	if s.Len() > most {
		g.Title += fmt.Sprintf(": the first %d of %d images", most, s.Len())
	}
	return g, nil
}

// Table is the number of segments of each image.
func (s *Segments) Table() table.Table {
	return table.PerImage{Columns: []table.Column{table.ColumnOf("segments", s.Counts)}}.Table(s.Len())
}

// Bundle shows the grid.
func (s *Segments) Bundle() mime.Bundle { return display.Shown(s.Grid()) }

// method is what found them.
func (e *Explanations) method() string {
	if e.Whole != nil {
		return "KernelSHAP"
	}
	return "LIME"
}
