package manifold

import (
	"fmt"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

func (a *Affinity) String() string {
	return fmt.Sprintf("a graph of %d points with %d edges", a.n, len(a.values)/2)
}

// Plot shows the points in the plane.
func (e *Embedding) Plot() display.Scatter {
	s := display.Scatter{}
	n, _ := e.Points.Dims()
	for i := range n {
		s.Xs, s.Ys = append(s.Xs, e.Points.At(i, 0)), append(s.Ys, e.Points.At(i, 1))
	}
	s.Title = fmt.Sprintf("%s in the plane", plural.Of(n, "point"))
	return s
}

// Table is the place of each point.
func (e *Embedding) Table() table.Table {
	n, _ := e.Points.Dims()
	axis := func(k int) func(i int) any { return func(i int) any { return e.Points.At(i, k) } }
	return table.PerImage{Columns: []table.Column{{Name: "x", At: axis(0)}, {Name: "y", At: axis(1)}}}.Table(n)
}

// Bundle shows the plot.
func (e *Embedding) Bundle() mime.Bundle { return display.Shown(e.Plot(), nil) }

// Table lists each point's neighbours, the nearest first, and how far they are.
func (nn *Neighbors) Table() table.Table {
	return table.PerImage{Columns: []table.Column{table.ColumnOf("neighbour", nn.Indices),
		table.ColumnOf("distance", nn.Distances)}}.Table(len(nn.Indices))
}

// Bundle shows how far the nearest neighbours are.
func (nn *Neighbors) Bundle() mime.Bundle {
	h := display.Histogram{Title: fmt.Sprintf("%d points: how far the nearest neighbour is", len(nn.Indices)),
		X: "distance"}
	for _, d := range nn.Distances {
		if len(d) > 0 {
			h.Values = append(h.Values, d[0])
		}
	}
	return h.Bundle()
}

// Plot shows the eigenvalues.
func (s *Spectrum) Plot() display.Lines {
	line := display.Series{}
	for i, v := range s.Values {
		line.X, line.Y = append(line.X, float64(i+1)), append(line.Y, v)
	}
	return display.Lines{Title: "spectrum", X: "number", Y: "eigenvalue", Series: []display.Series{line}}
}

// Table lists the eigenvalues.
func (s *Spectrum) Table() table.Table {
	t := table.Table{Header: []string{"number", "eigenvalue"}}
	for i, v := range s.Values {
		t.Add(i+1, v)
	}
	return t
}

// Bundle shows the plot.
func (s *Spectrum) Bundle() mime.Bundle { return display.Shown(s.Plot(), nil) }
