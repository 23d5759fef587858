package display

import "github.com/loupeml/loupe/lib/table"

// The tables of package table, under the names by which cells know them.
type (
	Table  = table.Table
	Bar    = table.Bar
	Shares = table.Shares
)

// TableOf makes a table of a slice of structs or of rows: see [table.Of].
func TableOf(rows any) (Table, error) { return table.Of(rows) }
