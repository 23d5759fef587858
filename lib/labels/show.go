package labels

import (
	"fmt"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Plot is the joint as a confusion matrix: a row for each given label, a column for each class that examples of it
// seem to be of.
func (c *ConfidentJoint) Plot() display.Confusion {
	m := display.Confusion{Title: fmt.Sprintf("confident joint: %d off the diagonal", c.Errors()), Rows: "given label",
		Columns: "confidently of class"}
	for _, row := range c.Counts {
		counts := make([]float64, len(row))
		for k, n := range row {
			counts[k] = float64(n)
		}
		m.Counts = append(m.Counts, counts)
	}
	return m
}

// Table has a row for each class: its threshold, how many examples have it as their label, and how many of these are
// counted for each class.
func (c *ConfidentJoint) Table() table.Table {
	t := table.Table{Header: []string{"given label", "examples", "threshold", "counted for class"}}
	for k, counts := range c.Counts {
		t.Add(k, c.Examples[k], c.Thresholds[k], counts)
	}
	return t
}

// Bundle shows the plot.
func (c *ConfidentJoint) Bundle() mime.Bundle { return display.Shown(c.Plot(), nil) }

// Table lists the classes, those with the lowest quality first.
func (h *DatasetHealth) Table() table.Table {
	classes, _ := h.tables()
	return classes
}
