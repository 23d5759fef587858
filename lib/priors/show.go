package priors

import (
	"fmt"
	"strings"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Table has a row for each era: what was taken, how much of it is right, and how right each learner is.
func (c *CoTrained) Table() (table.Table, error) {
	if c == nil {
		return table.Table{}, fmt.Errorf("priors: nothing was trained")
	}
	t := table.Table{Header: []string{"era", "share of the images", "per class", "labels", "labels right"}}
	for _, name := range c.Names {
		t.Header = append(t.Header, name+": all", name+": surest", name+": steps")
	}
	for i, e := range c.Eras {
		row := []any{i + 1, table.Percent(e.Share), e.PerClass, len(e.Merged), e.MergedRight.Rate()}
		for l := range c.Names {
			var all, surest, steps any
			if e.All != nil {
				all, surest = e.All[l].Rate(), e.Surest[l].Rate()
			}
			if e.Trained != nil {
				steps = e.Trained[l].Steps
			}
			row = append(row, all, surest, steps)
		}
		t.Add(row...)
	}
	return t, nil
}

func (c *CoTrained) String() string {
	if c == nil {
		return "nothing was trained"
	}
	return fmt.Sprintf("%s after %d eras", strings.Join(c.Names, " and "), max(0, len(c.Eras)-1))
}

// Bundle shows the table.
func (c *CoTrained) Bundle() mime.Bundle { return table.Shown(c.Table()) }
