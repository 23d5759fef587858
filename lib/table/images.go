package table

// PerImage is what a table says of single images: the columns "index" and, where there are names, "file" in front of
// others.
type PerImage struct {
	Index   []int    // numbers of the images, where they are not those from 0 on
	Files   []string // nil where they are unknown
	Columns []Column
}

// Column is a column of [PerImage]: the value of each image.
type Column struct {
	Name string
	At   func(i int) any
}

// Table is a row for each of n images.
func (p PerImage) Table(n int) Table {
	t := Table{Header: []string{"index"}}
	if p.Files != nil {
		t.Header = append(t.Header, "file")
	}
	for _, c := range p.Columns {
		t.Header = append(t.Header, c.Name)
	}
	for i := range n {
		row := []any{i}
		if p.Index != nil {
			row[0] = p.Index[i]
		}
		if p.Files != nil {
			row = append(row, p.Files[i])
		}
		for _, c := range p.Columns {
			row = append(row, c.At(i))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// ColumnOf is a column of a slice's values.
func ColumnOf[T any](name string, values []T) Column {
	return Column{name, func(i int) any { return values[i] }}
}
