package attack

import (
	"fmt"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Grid shows the images with what the objective is there.
func (a *Ascended) Grid() (display.Grid, error) {
	var titles []string
	for _, v := range a.Values {
		titles = append(titles, fmt.Sprintf("%.3g", v))
	}
	g := display.Gallery(a.Images, titles...)
	g.Title = "found, with what the objective is there"
	return g, nil
}

// Table is the objective's value at each image.
func (a *Ascended) Table() table.Table {
	return table.PerImage{Columns: []table.Column{table.ColumnOf("objective", a.Values)}}.Table(len(a.Values))
}

// Bundle shows the grid.
func (a *Ascended) Bundle() mime.Bundle { return display.Shown(a.Grid()) }
