package display

// Row is a row of pictures with a label at its left.
type Row struct {
	Label  string
	Images any // what Gallery takes
}

// RowsOf lays images out in rows, such as one for each method, in tiles of that many pixels of the screen; 0 chooses.
// For what are no images the grid shows what is wrong.
func RowsOf(side int, rows ...Row) Grid {
	g := Grid{Side: side}
	for _, row := range rows {
		pictures, err := asImages(row.Images)
		if err != nil {
			return Grid{err: err}
		}
		g.Rows, g.Labels = append(g.Rows, Tiles(pictures)), append(g.Labels, row.Label)
	}
	return g
}
