package attrib

import (
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Grid shows the heatmaps with the classes explained. loupe.Explain lays them over the images.
func (a *Attribution) Grid() (display.Grid, error) {
	heat, err := a.Heatmap()
	if err != nil {
		return display.Grid{}, err
	}
	g, err := display.HeatGrid(heat, a.ClassNames...)
	if g.Title == "" {
		g.Title = a.Title()
	}
	return g, err
}

// Table is for each image its file where that is known, the class explained, the sum of the values, and by how much
// completeness fails where the method promises it.
func (a *Attribution) Table() (table.Table, error) {
	sums, err := a.Sums()
	if err != nil {
		return table.Table{}, err
	}
	columns := []table.Column{table.ColumnOf("class", a.Classes), table.ColumnOf("name", a.ClassNames),
		table.ColumnOf("sum of the values", sums)}
	if a.Delta != nil {
		columns = append(columns, table.ColumnOf("completeness fails by", a.Delta))
	}
	t := table.PerImage{Files: a.Files, Columns: columns}.Table(len(a.Classes))
	t.Title = a.Title()
	return t, nil
}

// Arrays are the values, [N, H, W, C], and the classes.
func (a *Attribution) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	classes := make([]int64, len(a.Classes))
	for i, c := range a.Classes {
		classes[i] = int64(c)
	}
	return map[string]*tensors.Tensor{"values": a.Values, "classes": tensors.FromFlatDataAndDimensions(classes,
		len(classes))}, map[string]string{"method": a.Method}, nil
}

// Bundle shows the grid.
func (a *Attribution) Bundle() mime.Bundle { return display.Shown(a.Grid()) }
