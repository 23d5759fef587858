package claim

import (
	"maps"
	"slices"

	"github.com/loupeml/loupe/lib/table"
)

// Units is a table of the values of a measure, a row for each unit and a column for each kind; without kinds it has all
// that have values, in the order of the alphabet. Where a kind has fewer values its cells are empty.
func (m *Measures) Units(measure string, kinds ...string) table.Table {
	if len(kinds) == 0 {
		kinds = slices.Sorted(maps.Keys(m.values[measure]))
	}
	t := table.Table{Title: measure, Header: append([]string{m.Unit}, kinds...)}
	rows := 0
	for _, kind := range kinds {
		rows = max(rows, len(m.values[measure][kind]))
	}
	for i := range rows {
		row := []any{i + 1}
		for _, kind := range kinds {
			if values := m.values[measure][kind]; i < len(values) {
				row = append(row, values[i])
			} else {
				row = append(row, "")
			}
		}
		t.Add(row...)
	}
	return t
}
