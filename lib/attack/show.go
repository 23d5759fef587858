package attack

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Grid shows the images with what the objective is there.
func (a *AdversarialExamples) Grid() (display.Grid, error) {
	var titles []string
	for _, v := range a.Values {
		titles = append(titles, fmt.Sprintf("%.3g", v))
	}
	g := display.Gallery(a.Images, titles...)
	g.Title = "found, with what the objective is there"
	return g, nil
}

// Table is the objective's value at each image.
func (a *AdversarialExamples) Table() table.Table {
	return table.PerImage{Columns: []table.Column{table.ColumnOf("objective", a.Values)}}.Table(len(a.Values))
}

// Bundle shows the grid.
func (a *AdversarialExamples) Bundle() mime.Bundle { return display.Shown(a.Grid()) }

func (e *Evaluation) String() string {
	return fmt.Sprintf("%s: %s, robust to %s ≤ %.4g: %s", e.Model, e.Clean, e.Norm, e.Eps, e.Robust)
}

// Table is a row for the images as they are, and one for each attack with what stands after it.
func (e *Evaluation) Table() (table.Table, error) {
	t, err := table.Of(append([]Attempt{{Attack: "none", Tried: e.Clean.Total, Fell: e.Clean.Total - e.Clean.Correct,
		Robust: e.Clean}}, e.Attempts...))
	t.Title = e.String()
	return t, err
}

// Grid shows some images that fell to each attack: as they were, and below what was found.
func (e *Evaluation) Grid() (display.Grid, error) {
	const each = 4
	var chosen []int
	var before, after []string
	for k, attempt := range e.Attempts {
		for i, n := 0, 0; i < len(e.By) && n < each; i++ {
			if e.By[i] == k {
				chosen, n = append(chosen, i), n+1
				before, after = append(before, fmt.Sprintf("image %d", i)), append(after, attempt.Attack)
			}
		}
	}
	if len(chosen) == 0 {
		return display.Grid{}, fmt.Errorf("attack: no image of %s fell to an attack: there is none to show", e.Model)
	}
	g := display.Grid{Title: fmt.Sprintf("%s: images that fell within %s ≤ %.4g", e.Model, e.Norm, e.Eps)}
	for _, row := range []struct {
		of     *tensors.Tensor
		titles []string
	}{{e.originals, before}, {e.Images, after}} {
		some, err := rows.Pick(row.of, chosen)
		if err != nil {
			return g, err
		}
		pictures, err := display.Images(some)
		if err != nil {
			return g, err
		}
		tiles := display.Tiles(pictures)
		for i := range tiles {
			tiles[i].Title = row.titles[i]
		}
		g.Rows = append(g.Rows, tiles)
	}
	return g, nil
}

// Bundle shows the table, and images that fell.
func (e *Evaluation) Bundle() mime.Bundle {
	bundles := []mime.Bundle{table.Shown(e.Table())}
	if slices.ContainsFunc(e.By, func(by int) bool { return by >= 0 }) {
		bundles = append(bundles, display.Shown(e.Grid()))
	}
	return display.Stack(bundles...)
}
