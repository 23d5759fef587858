package mask

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Box is a rectangle of an image, in pixels: where an object is, or a mark that was planted.
type Box struct {
	Row    int `display:"row"` // of its upper left corner
	Column int `display:"column"`
	Height int `display:"height"`
	Width  int `display:"width"`
}

// within says whether the box has pixels and all of them are in an image of this size.
func (b Box) within(height, width int) bool {
	return b.Height >= 1 && b.Width >= 1 && b.Row >= 0 && b.Column >= 0 &&
		b.Row+b.Height <= height && b.Column+b.Width <= width
}

// InsideBox is how far heatmaps lie inside boxes.
type InsideBox struct {
	// Share is, for each heatmap, which part of its positive values lies inside its box, 0 to 1; NaN of a heatmap without
	// a positive value. It is the energy-based pointing game: Wang et al., "Score-CAM", CVPR 2020 workshop, section 4.3.
	Share []float64
	// Hit says whether a largest value lies inside: the pointing game of Zhang et al., "Top-Down Neural Attention by
	// Excitation Backprop", ECCV 2016, section 4.2, without its margin.
	Hit []bool
	// Area is which part of the image the box is: what a heatmap that knows nothing has of Share.
	Area []float64
}

// Inside says how far heatmaps, [N, H, W] float32, lie inside boxes, one for all or one for each. It is an error where
// a box is empty or not inside the image, or a value is not a number.
func Inside(heatmaps *tensors.Tensor, boxes ...Box) (*InsideBox, error) {
	values, dims, err := heat(heatmaps)
	if err != nil {
		return nil, err
	}
	n, height, width := dims[0], dims[1], dims[2]
	if n == 0 || len(boxes) != 1 && len(boxes) != n {
		return nil, fmt.Errorf("mask: %d boxes for %d heatmaps: give one for each, or one for all", len(boxes), n)
	}
	for i, b := range boxes {
		if !b.within(height, width) {
			return nil, fmt.Errorf("mask: box %d, of %d x %d pixels at row %d, column %d, does not lie in heatmaps of %d x %d",
				i, b.Height, b.Width, b.Row, b.Column, height, width)
		}
	}
	out := &InsideBox{}
	for i := range n {
		b := boxes[i%len(boxes)]
		var inside, all float64
		largest, largestInside := math.Inf(-1), math.Inf(-1)
		for j, v32 := range values[i*height*width : (i+1)*height*width] {
			v, row, column := float64(v32), j/width, j%width
			if v-v != 0 {
				return nil, fmt.Errorf("mask: heatmap %d has %v at row %d, column %d", i, v, row, column)
			}
			largest, all = max(largest, v), all+max(v, 0)
			if row >= b.Row && row < b.Row+b.Height && column >= b.Column && column < b.Column+b.Width {
				largestInside, inside = max(largestInside, v), inside+max(v, 0)
			}
		}
		share := math.NaN()
		if all > 0 {
			share = inside / all
		}
		out.Share, out.Hit = append(out.Share, share), append(out.Hit, largestInside == largest)
		out.Area = append(out.Area, float64(b.Height*b.Width)/float64(height*width))
	}
	return out, nil
}

// Hits is the share of heatmaps whose largest value lies inside, with its interval.
func (s *InsideBox) Hits() stats.Accuracy {
	a := stats.Accuracy{Total: len(s.Hit)}
	for _, hit := range s.Hit {
		if hit {
			a.Correct++
		}
	}
	return a
}

// Mean is the mean share of the heatmaps that have one, with Student's 95% interval: see [stats.MeanInterval]. It is an
// error of fewer than two.
func (s *InsideBox) Mean() (float64, stats.Interval, error) {
	return stats.MeanInterval(s.shares(), 0.05)
}

// shares are those that are numbers.
func (s *InsideBox) shares() []float64 {
	var shares []float64
	for _, v := range s.Share {
		if !math.IsNaN(v) {
			shares = append(shares, v)
		}
	}
	return shares
}

// Table has a row for each heatmap.
func (s *InsideBox) Table() table.Table {
	t := table.PerImage{Columns: []table.Column{
		{Name: "inside", At: func(i int) any { return table.Percent(s.Share[i]) }},
		{Name: "area of the box", At: func(i int) any { return table.Percent(s.Area[i]) }},
		table.ColumnOf("largest value inside", s.Hit),
	}}.Table(len(s.Share))
	t.Title = s.String()
	return t
}

// Plot is a histogram of the shares.
func (s *InsideBox) Plot() display.Histogram {
	return display.Histogram{Title: s.String(), X: "share of the positive values inside the box", Values: s.shares()}
}

// String is such as "inside the box 31.0% (28.0 to 34.0), which is 4.0% of the image; the largest value in 71.0% …".
func (s *InsideBox) String() string {
	shares := s.shares()
	if len(shares) == 0 {
		return fmt.Sprintf("none of %d heatmaps has a positive value", len(s.Share))
	}
	rate := table.Rate{Low: math.NaN(), High: math.NaN()}
	area := 0.0
	for _, v := range shares {
		rate.Value += v / float64(len(shares))
	}
	for _, a := range s.Area {
		area += a / float64(len(s.Area))
	}
	if mean, iv, err := s.Mean(); err == nil {
		rate = table.Rate{Value: mean, Low: iv.Low, High: iv.High}
	}
	return fmt.Sprintf("inside the box %s, which is %.1f%% of the image; the largest value in %s", rate,
		100*area, s.Hits())
}

// Bundle shows the plot.
func (s *InsideBox) Bundle() mime.Bundle {
	if len(s.shares()) == 0 {
		return mime.TextOf(s.String())
	}
	return display.Shown(s.Plot(), nil)
}
