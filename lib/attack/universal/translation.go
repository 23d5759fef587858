package universal

import (
	"errors"
	"fmt"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Shifts move perturbations over the images, on a grid; what leaves on one side comes in on the other. An attack that
// acts by what it shows, wherever that is, still acts. Park et al. move by multiples of 4 of 224 pixels.
type Shifts struct {
	Most   int // pixels to each side; 0 means a quarter of the shorter side
	Stride int // of the grid, in pixels; 0 means a quarter of Most, at least 1
}

// Translation is how often moved perturbations lead to the target: rows move down, columns to the right.
type Translation struct {
	Offsets []int // of rows and of columns, ascending, with 0 among them
	Rates   [][]stats.Accuracy
}

// On puts the moved perturbations onto a dataset's images as [Perturbations.Success] puts those that stay in place.
//
// Interrupted, it returns what the images that are done say beside the error; nil if there is none.
func (s Shifts) On(m *model.Model, ds model.Dataset, of *Perturbations) (*Translation, error) {
	if err := of.check(); err != nil {
		return nil, err
	}
	d := of.Deltas.Shape().Dimensions
	side := min(d[1], d[2])
	if s.Most == 0 {
		s.Most = max(side/4, 1)
	}
	if s.Stride == 0 {
		s.Stride = max(s.Most/4, 1)
	}
	if s.Most < 1 || 2*s.Most > side || s.Stride < 1 || s.Stride > s.Most {
		return nil, fmt.Errorf("universal: shifts by up to %d pixels in steps of %d: %d pixels may be moved by half of "+
			"them, in steps from 1 up to the largest shift", s.Most, s.Stride, side)
	}
	t := &Translation{}
	for by := -s.Most / s.Stride * s.Stride; by <= s.Most; by += s.Stride {
		t.Offsets = append(t.Offsets, by)
	}
	var views []view
	for _, dy := range t.Offsets {
		for _, dx := range t.Offsets {
			views = append(views, view{dy: dy, dx: dx})
		}
	}
	tried, stopped := of.try(m, ds, "moved perturbations", views)
	if tried == nil {
		return nil, stopped
	}
	for i := range t.Offsets {
		var row []stats.Accuracy
		for k := range t.Offsets {
			row = append(row, tried.all(i*len(t.Offsets)+k))
		}
		t.Rates = append(t.Rates, row)
	}
	return t, stopped
}

// By is the rate over all shifts whose larger part, down or to the right, is from least to most pixels either way; of
// such that are not on the grid nothing is counted.
func (t *Translation) By(least, most int) (all stats.Accuracy) {
	for i, dy := range t.Offsets {
		for k, dx := range t.Offsets {
			if far := max(dy, -dy, dx, -dx); far >= least && far <= most {
				all = all.Add(t.Rates[i][k])
			}
		}
	}
	return all
}

// Series is the rate by the larger part of the shift: a line for a plot.
func (t *Translation) Series(name string) display.Series {
	s := display.Series{Name: name}
	for _, far := range t.Offsets {
		if far >= 0 {
			s.X, s.Y = append(s.X, float64(far)), append(s.Y, 100*t.By(far, far).Share())
		}
	}
	return s
}

// Plot is the rate by the larger part of the shift.
func (t *Translation) Plot() (display.Lines, error) {
	if t == nil || len(t.Offsets) == 0 {
		return display.Lines{}, errors.New("universal: there are no shifts to show")
	}
	return display.Lines{Title: "success of moved perturbations", X: "pixels, down or to the right, the larger",
		Y: "% of the images", YMin: 0, YMax: 100,
		Series: []display.Series{t.Series("moved")}}, nil
}

// Grid is the map of the rates: a place for each shift, no shift in the middle, red where all images are taken for the
// target.
func (t *Translation) Grid() (display.Grid, error) {
	if t == nil || len(t.Offsets) == 0 {
		return display.Grid{}, errors.New("universal: there are no shifts to show")
	}
	var values []float32
	for _, row := range t.Rates {
		for _, r := range row {
			values = append(values, float32(r.Share()))
		}
	}
	n := len(t.Offsets)
	picture, err := display.Heatmap(nil, values, n, n, false)
	if err != nil {
		return display.Grid{}, err
	}
	last := t.Offsets[n-1]
	return display.Grid{
		Rows: [][]display.Tile{{{Image: picture, Title: fmt.Sprintf("moved by up to %d pixels; in place %s", last,
			t.By(0, 0))}}}, Bar: display.UnsignedBar}, nil
}

// Table has a row for each shift.
func (t *Translation) Table() table.Table {
	out := table.Table{Header: []string{"down", "right", "success", "images"}}
	for i, dy := range t.Offsets {
		for k, dx := range t.Offsets {
			out.Add(dy, dx, t.Rates[i][k].Rate(), t.Rates[i][k].Total)
		}
	}
	return out
}

func (t *Translation) String() string {
	most := 0
	if n := len(t.Offsets); n > 0 {
		most = t.Offsets[n-1]
	}
	return fmt.Sprintf("success in place: %s; moved by 1 to %d pixels: %s", t.By(0, 0), most, t.By(1, most))
}

// Bundle shows the plot.
func (t *Translation) Bundle() mime.Bundle { return display.Shown(t.Plot()) }
