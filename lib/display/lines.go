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
	if l.YMin > l.YMax || !finite(l.YMin) || !finite(l.YMax) {
		return nil, fmt.Errorf("display: a vertical axis from %v to %v has no room", l.YMin, l.YMax)
	}
	p := newPlot(l.Title, l.X, l.Y)
	var bands, curves []plot.Plotter
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
			bands = append(bands, band)
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("display: %s: %w", s.Name, err)
		}
		line.Color, line.Width, line.Dashes = c, 1.8, seriesDashes(i)
		curves = append(curves, line)
		dots.GlyphStyle = draw.GlyphStyle{Color: c, Radius: 2.6, Shape: draw.CircleGlyph{}}
		thumbs := []plot.Thumbnailer{line}
		if len(points) <= 60 { // more run into each other
			curves, thumbs = append(curves, dots), append(thumbs, dots)
		}
		if s.Name != "" {
			p.Legend.Add(s.Name, thumbs...)
		}
	}
	p.Add(append(bands, curves...)...) // no band lies on a line
	widen(&p.X, 0.02)
	if l.YMin != l.YMax {
		p.Y.Min, p.Y.Max = l.YMin, l.YMax
	} else {
		widen(&p.Y, 0.04)
	}
	if l.Names != nil {
		nameTicks(&p.X, l.Names)
		if room := l.layout().width * 0.8; longest(p.X, l.Names) > room/vg.Length(len(l.Names)) {
			slant(&p.X)
			nameTicks(&p.X, thinned(l.Names, int(room/(1.3*p.X.Tick.Label.Height("X")))))
		}
	}
	return p, nil
}

func (l Lines) layout() layout {
	d := defaultLayout
	d.legendBeside = true
	return d
}

// Image draws the plot at twice the size of the screen's pixels.
func (l Lines) Image() (image.Image, error) { return chartImage(l) }

// Bundle shows the plot.
func (l Lines) Bundle() mime.Bundle { return chartBundle(l) }
