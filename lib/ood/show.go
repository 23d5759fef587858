package ood

import (
	"fmt"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

func (m *KLMatching) String() string {
	classes := 0
	for _, t := range m.typical {
		if t != nil {
			classes++
		}
	}
	return fmt.Sprintf("KL matching with the typical probabilities of %d of %d classes", classes, len(m.typical))
}

// Table is the mean over the pictures, and the measure of all their pixels together.
func (s Segmentation) Table() (table.Table, error) {
	t, err := table.Of([]Detection{s.Mean, s.Pooled})
	if err != nil {
		return t, err
	}
	t.Title = fmt.Sprintf("%s, and %d left out that hold only known or only unknown pixels",
		plural.Of(s.Pictures, "picture"), s.Left)
	t.Header = append([]string{"measured"}, t.Header...)
	for i, what := range []string{"mean over pictures", "all pixels together"} {
		t.Rows[i] = append([]any{what}, t.Rows[i]...)
	}
	return t, nil
}

// Bundle shows the table.
func (s Segmentation) Bundle() mime.Bundle { return table.Shown(s.Table()) }
