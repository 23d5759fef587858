package syntax

import (
	"fmt"

	"github.com/loupeml/loupe/kernel/goeval/lexical"
)

// Fault is something wrong with a cell, found before anything has run.
type Fault struct {
	Text    *Text
	Offset  int
	Message string
}

// String is how a fault reads in one line.
func (f Fault) String() string {
	line, column := lexical.Position(f.Text.Source, f.Offset)
	return fmt.Sprintf("cell %d:%d:%d: %s", f.Text.Number, line, column, f.Message)
}
