package priors

import (
	"fmt"
	"strings"

	"github.com/loupeml/loupe/lib/display"
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

// Right is a line of how many of the labels of each era, as all learners together gave them, are right, in percent. It
// is an error where the true labels are not known.
func (c *CoTrained) Right(name string) (display.Series, error) {
	line := display.Series{Name: name}
	if c == nil || len(c.Eras) == 0 {
		return line, fmt.Errorf("priors: no era is whole, of which labels could be right")
	}
	for i, e := range c.Eras {
		if e.All == nil || e.MergedRight.Total == 0 {
			return line, fmt.Errorf(
				"priors: era %d: the true labels are not known, or there are no labels of images that have one", i+1)
		}
		line.X, line.Y = append(line.X, float64(i+1)), append(line.Y, 100*e.MergedRight.Share())
	}
	return line, nil
}

func (c *CoTrained) String() string {
	if c == nil {
		return "nothing was trained"
	}
	return fmt.Sprintf("%s after %d eras", strings.Join(c.Names, " and "), max(0, len(c.Eras)-1))
}

// Bundle shows the table.
func (c *CoTrained) Bundle() mime.Bundle { return table.Shown(c.Table()) }
