package mask

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

func (f Filler) String() string { return f.Name }

// Grid shows for each image which pixels were masked first, dark, and last, bright.
func (o *Ordering) Grid() (display.Grid, error) {
	flat := make([]float32, 0, o.Len()*o.Pixels())
	for _, rank := range o.Rank {
		for _, r := range rank {
			flat = append(flat, float32(r)/float32(o.Pixels()))
		}
	}
	g, err := display.HeatGrid(tensors.FromFlatDataAndDimensions(flat, o.Len(), o.Height, o.Width), o.ClassNames...)
	g.Bar = &display.ColorBar{Map: display.Sequential, Low: "first", High: "last"}
	if g.Title == "" {
		g.Title = "when pixels were masked"
	}
	return g, err
}

// Table is for each image its file where that is known, its class, and the class's probability for the whole image and
// with everything masked.
func (o *Ordering) Table() table.Table {
	return table.PerImage{Files: o.Files, Columns: []table.Column{
		table.ColumnOf("class", o.Classes), table.ColumnOf("name", o.ClassNames),
		{Name: "probability, whole image", At: func(i int) any { return table.Percent(o.ConfidenceBefore[i][0]) }},
		{Name: "probability, all masked", At: func(i int) any { return table.Percent(o.ConfidenceMasked[i]) }},
	}}.Table(o.Len())
}

// Bundle shows the grid.
func (o *Ordering) Bundle() mime.Bundle { return display.Shown(o.Grid()) }

func (s Subset) String() string {
	return fmt.Sprintf("%d positions, value %.4g", len(s.Positions), s.Value)
}

// Grid shows the pixels of the subsets.
func (s *Sufficient) Grid() (display.Grid, error) {
	var titles []string
	for i, size := range s.Sizes {
		title := "none"
		if size >= 0 {
			title = fmt.Sprintf("%s\n%.1f%%", plural.Of(size, "pixel"), 100*s.Confidences[i])
		}
		titles = append(titles, title)
	}
	g, err := display.HeatGrid(s.Kept, titles...)
	g.Bar = nil
	if g.Title == "" {
		g.Title = fmt.Sprintf("the pixels that suffice for a probability of %g%%", 100*s.Threshold)
	}
	return g, err
}

// Table is each image's file where that is known, and the size of its subset, empty where there is none, and the
// probability of the subset alone.
func (s *Sufficient) Table() table.Table {
	return table.PerImage{Files: s.Files, Columns: []table.Column{
		{Name: "pixels", At: func(i int) any {
			if s.Sizes[i] < 0 {
				return nil
			}
			return s.Sizes[i]
		}},
		{Name: "probability", At: func(i int) any { return table.Percent(s.Confidences[i]) }},
	}}.Table(len(s.Sizes))
}

// Bundle shows the grid.
func (s *Sufficient) Bundle() mime.Bundle { return display.Shown(s.Grid()) }
