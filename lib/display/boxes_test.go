package display

import (
	"reflect"
	"testing"

	"gonum.org/v1/plot/plotter"
)

// Whiskers reach the extremes, however far out these are, and boxes of several series stand beside each other.
func TestBoxes(t *testing.T) {
	b := Boxes{Names: []string{"a", "b"}, Series: []BoxSeries{
		{Name: "one", Values: [][]float64{{5, 1, 2, 3, 4, 100}, nil}},
		{Name: "two", Values: [][]float64{{7}, {2, 4}}},
	}}
	p, err := b.Plot()
	if err != nil {
		t.Fatal(err)
	}
	if !(p.Y.Min < 1) || !(p.Y.Max > 100) || p.X.Min != -0.5 || p.X.Max != 1.5 {
		t.Errorf("the axes go from %v to %v and from %v to %v", p.X.Min, p.X.Max, p.Y.Min, p.Y.Max)
	}
	var boxes []*plotter.BoxPlot
	for i := range b.Series {
		one := Boxes{Names: b.Names, Series: b.Series[i : i+1]}
		boxes = append(boxes, plotted(t, one)...)
	}
	var got [][6]float64
	for _, x := range boxes {
		got = append(got, [6]float64{x.Location, x.AdjLow, x.Quartile1, x.Median, x.Quartile3, x.AdjHigh})
	}
	if want := [][6]float64{{0, 1, 2, 3.5, 5, 100}, {0, 7, 7, 7, 7, 7}, {1, 2, 2, 3, 4, 4}}; !reflect.DeepEqual(got,
		want) {
		t.Errorf("boxes (place, whisker, quartile, median, quartile, whisker) are %v, want %v", got, want)
	}
	both := plotted(t, b)
	if left, right := both[0], both[1]; !(left.Offset+left.Width/2 < right.Offset-right.Width/2) ||
		left.Offset != -right.Offset {
		t.Errorf("boxes lie at %v and %v and are %v wide", left.Offset, right.Offset, left.Width)
	}
}

// plotted are the boxes of a plot in the order in which they are drawn.
func plotted(t *testing.T, b Boxes) []*plotter.BoxPlot {
	t.Helper()
	boxes, _, err := b.boxes()
	if err != nil {
		t.Fatal(err)
	}
	return boxes
}
