package spurious

import (
	"fmt"
	"strconv"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Table has a row for each model: its accuracy on all examples, on the most and the least spurious ones, and the gap
// between these, in points.
func (c *Comparison) Table() table.Table {
	t := table.Table{Header: []string{"model", "accuracy", "with spurious cues", "without", "spurious gap, points"}}
	high, low := c.ends()
	for i, name := range c.Models {
		t.Add(name, c.Accuracy[i].Rate(), table.Percent(high[i]), table.Percent(low[i]), 100*(high[i]-low[i]))
	}
	return t
}

// Plot is [Comparison.Ends].
func (c *Comparison) Plot() display.Scatter { return c.Ends() }

// Bundle shows the table and the plot.
func (c *Comparison) Bundle() mime.Bundle {
	return display.Stack(c.Table().Bundle(), c.Plot().Bundle())
}

// Table has a row for each component: how much of the features' variance it has.
func (c *Components) Table() table.Table {
	var all float64
	for _, v := range c.Variances {
		all += v
	}
	t := table.Table{Title: c.ClassName, Header: []string{"component", "variance", "share"}}
	for l, v := range c.Variances {
		t.Add(l+1, v, table.Bar(v/all))
	}
	return t
}

// Arrays are the mean, [D], the variances, [L], the vectors, [D, L], and the alphas, [N, L], all float64.
func (c *Components) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if c == nil || c.Len() == 0 || c.Vectors == nil || c.Alphas == nil {
		return nil, nil, fmt.Errorf("spurious: there are no components: ClassPCA makes them")
	}
	return map[string]*tensors.Tensor{
		"mean": tensors.FromValue(c.Mean), "variances": tensors.FromValue(c.Variances), "vectors": dense(c.Vectors),
		"alphas": dense(c.Alphas),
	}, map[string]string{"class": strconv.Itoa(c.Class), "name": c.ClassName}, nil
}

func dense(m *mat.Dense) *tensors.Tensor {
	rows, columns := m.Dims()
	flat := make([]float64, 0, rows*columns)
	for i := range rows {
		flat = append(flat, m.RawRowView(i)...)
	}
	return tensors.FromFlatDataAndDimensions(flat, rows, columns)
}

// Bundle shows the table; [Components.Sheet] has the pictures.
func (c *Components) Bundle() mime.Bundle { return c.Table().Bundle() }

func (e Examples) String() string {
	n, d := e.Features.Dims()
	return fmt.Sprintf("%d examples with %d features", n, d)
}

func (f Fix) String() string {
	d, r := f.Directions.Dims()
	return fmt.Sprintf("a fix of class %d that takes %d of %d directions out of the features", f.Class, r, d)
}

// Table lists the class's images, the least spurious first: their numbers in the examples, their files where these are
// known, the class and the spuriosity.
func (r *Ranking) Table() table.Table {
	columns := table.PerImage{Index: r.Images, Columns: []table.Column{
		{Name: "class", At: func(int) any { return r.className() }}, table.ColumnOf("spuriosity", r.Scores),
	}}
	if r.files != nil {
		columns.Files = make([]string, len(r.Images))
		for k, i := range r.Images {
			columns.Files[k] = r.files[i]
		}
	}
	t := columns.Table(len(r.Images))
	t.Title = fmt.Sprintf("%s by its spurious features %v", r.className(), r.Features)
	return t
}

func (r *Ranking) className() string {
	if r.name == "" {
		return fmt.Sprint("class ", r.Class)
	}
	return r.name
}

// Bundle shows how the spuriosity is spread; [Ranking.Wall] has the images.
func (r *Ranking) Bundle() mime.Bundle { return r.Plot().Bundle() }

// Plot is a histogram of the spuriosity.
func (r *Ranking) Plot() display.Histogram {
	return display.Histogram{Title: fmt.Sprintf("%s: %s", r.className(), plural.Of(len(r.Images), "image")),
		X: "spuriosity", Values: r.Scores}
}
