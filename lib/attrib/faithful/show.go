package faithful

import (
	"fmt"
	"image"
	"image/draw"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// answer is what is on a curve.
func (c *Curve) answer() string {
	if c.Logit {
		return "logit of the class"
	}
	return "probability of the class"
}

// title says what was done, such as "insertion over blur 5".
func (c *Curve) title() string { return c.Kind + " over " + c.Filler }

// series is the mean curve with its interval, as a line.
func (c *Curve) series() display.Series {
	s := display.Series{Name: c.Method}
	for t, x := range c.Fractions {
		values := make([]float64, c.Len())
		for i := range values {
			values[i] = c.Values[i][t]
		}
		add(&s, x, values)
	}
	return s
}

// Plot is the mean of the curves over the share of pixels, with Student's 95% interval over the images.
func (c *Curve) Plot() display.Lines {
	x := "share of pixels put in"
	if c.Kind == "deletion" {
		x = "share of pixels taken away"
	}
	lines := display.Lines{Title: c.Model + ": " + c.title(), X: x, Y: c.answer(), Series: []display.Series{c.series()}}
	if !c.Logit {
		lines.YMax = 1
	}
	return lines
}

// Table is for each image the class explained, what the network says of it where the curve begins and ends, and the
// area under the curve.
func (c *Curve) Table() table.Table {
	at := func(t int) func(i int) any { return func(i int) any { return c.Values[i][t] } }
	t := table.PerImage{Columns: []table.Column{
		table.ColumnOf("class", c.Classes), {Name: "name",
			At: func(i int) any { return className(c.ClassNames, c.Classes, i) }},
		{Name: "at the start", At: at(0)}, {Name: "at the end", At: at(len(c.Fractions) - 1)},
		table.ColumnOf("area", c.Areas),
	}}.Table(c.Len())
	t.Title = fmt.Sprintf("%s: %s by %s, %s", c.Model, c.title(), c.Method, c.answer())
	return t
}

// Arrays are the curves, [N, Steps+1], the shares of pixels, [Steps+1], the areas and the classes, [N].
func (c *Curve) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	flat := make([]float64, 0, c.Len()*len(c.Fractions))
	for _, values := range c.Values {
		flat = append(flat, values...)
	}
	return map[string]*tensors.Tensor{
			"curves":    tensors.FromFlatDataAndDimensions(flat, c.Len(), len(c.Fractions)),
			"fractions": tensors.FromFlatDataAndDimensions(c.Fractions, len(c.Fractions)),
			"areas":     tensors.FromFlatDataAndDimensions(c.Areas, c.Len()),
			"classes":   int64s(c.Classes),
		}, map[string]string{"kind": c.Kind, "model": c.Model, "method": c.Method, "filler": c.Filler, "values": c.answer()},
		nil
}

// Bundle shows the plot.
func (c *Curve) Bundle() mime.Bundle { return c.Plot().Bundle() }

// Curves are the plots of the methods, one for insertion and one for deletion: see [Curve.Plot].
func (c *Comparison) Curves() (insertion, deletion display.Lines) {
	for k, curves := range [][]*Curve{c.Insertion, c.Deletion} {
		var lines display.Lines
		for i, curve := range curves {
			if i == 0 {
				lines = curve.Plot()
				continue
			}
			lines.Series = append(lines.Series, curve.series())
		}
		if k == 0 {
			insertion = lines
		} else {
			deletion = lines
		}
	}
	return insertion, deletion
}

// Table has a row for each method, and last one for a random ranking: the mean areas under the curves of insertion, of
// which a large one is better, and of deletion, of which a small one is; and by how much each is better than the random
// ranking on the same images, which the last row leaves empty. Each mean has Student's 95% interval over the images,
// where there are two or more.
func (c *Comparison) Table() (table.Table, error) {
	t := table.Table{Title: c.Model, Header: []string{"method", "insertion", "above random", "deletion", "below random"}}
	last := len(c.Insertion) - 1
	if last < 0 || len(c.Deletion) != last+1 {
		return t, fmt.Errorf("faithful: there is nothing to compare: Tests.Compare makes a comparison")
	}
	better := func(a, b *Curve) []float64 {
		by := make([]float64, a.Len())
		for i := range by {
			by[i] = a.Areas[i] - b.Areas[i]
		}
		return by
	}
	for k, insertion := range c.Insertion {
		deletion := c.Deletion[k]
		row := []any{insertion.Method, estimate(insertion.Areas), nil, estimate(deletion.Areas), nil}
		if k < last {
			row[2] = estimate(better(insertion, c.Insertion[last]))
			row[4] = estimate(better(c.Deletion[last], deletion))
		}
		t.Add(row...)
	}
	return t, nil
}

// Arrays are the areas under the curves of each method, [methods, N], and the classes, [N]; the methods' names are in
// the metadata, the random ranking's last.
func (c *Comparison) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if len(c.Insertion) == 0 || len(c.Insertion) != len(c.Deletion) {
		return nil, nil, fmt.Errorf("faithful: there is nothing to compare: Tests.Compare makes a comparison")
	}
	metadata := map[string]string{"model": c.Model}
	var insertion, deletion []float64
	for k := range c.Insertion {
		insertion, deletion = append(insertion, c.Insertion[k].Areas...), append(deletion, c.Deletion[k].Areas...)
		metadata[fmt.Sprintf("method %d", k)] = c.Insertion[k].Method
	}
	n := c.Insertion[0].Len()
	return map[string]*tensors.Tensor{
		"insertion": tensors.FromFlatDataAndDimensions(insertion, len(c.Insertion), n),
		"deletion":  tensors.FromFlatDataAndDimensions(deletion, len(c.Deletion), n),
		"classes":   int64s(c.Insertion[0].Classes),
	}, metadata, nil
}

// Image is the plot of insertion with that of deletion below it: see [Comparison.Curves].
func (c *Comparison) Image() (image.Image, error) {
	if len(c.Insertion) == 0 || len(c.Insertion) != len(c.Deletion) {
		return nil, fmt.Errorf("faithful: there is nothing to compare: Tests.Compare makes a comparison")
	}
	insertion, deletion := c.Curves()
	above, err := insertion.Image()
	if err != nil {
		return nil, err
	}
	below, err := deletion.Image()
	if err != nil {
		return nil, err
	}
	top := above.Bounds().Dy()
	both := image.NewRGBA(image.Rect(0, 0, max(above.Bounds().Dx(), below.Bounds().Dx()), top+below.Bounds().Dy()))
	draw.Draw(both, both.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(both, above.Bounds().Sub(above.Bounds().Min), above, above.Bounds().Min, draw.Src)
	draw.Draw(both, below.Bounds().Sub(below.Bounds().Min).Add(image.Pt(0, top)), below, below.Bounds().Min, draw.Src)
	return both, nil
}

// Bundle shows the table and the plots.
func (c *Comparison) Bundle() mime.Bundle {
	t, err := c.Table()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	insertion, deletion := c.Curves()
	return display.Stack(t.Bundle(), insertion.Bundle(), deletion.Bundle())
}

// Plot shows the correlation with the heatmaps of the network itself after each layer, and that of absolute values: the
// mean with Student's 95% interval over the images.
func (r *Randomised) Plot() display.Lines {
	signed, absolute := display.Series{Name: "heatmaps"}, display.Series{Name: "absolute values"}
	for l := range r.Layers {
		add(&signed, float64(l), r.Correlation[l])
		add(&absolute, float64(l), r.Absolute[l])
	}
	x := "randomised down to"
	if r.Independent {
		x = "randomised alone"
	}
	return display.Lines{Title: r.Model + ": " + r.Method, X: x, Y: "rank correlation", YMin: -1, YMax: 1,
		Names: r.Layers, Series: []display.Series{signed, absolute}}
}

// Table is a row for each layer in the order of Layers: the mean correlation with the heatmaps of the network itself,
// and that of absolute values, with Student's 95% interval over the images that have one, and how many these are.
func (r *Randomised) Table() table.Table {
	t := table.Table{Title: r.Model + ": " + r.Method,
		Header: []string{"randomised down to", "rank correlation", "of absolute values", "images"}}
	if r.Independent {
		t.Header[0] = "randomised alone"
	}
	for l, name := range r.Layers {
		t.Add(name, estimate(r.Correlation[l]), estimate(r.Absolute[l]), len(known(r.Correlation[l])))
	}
	return t
}

// Arrays are the correlations, [layers, N], and the classes, [N]; the layers' names are in the metadata.
func (r *Randomised) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	metadata := map[string]string{"model": r.Model, "method": r.Method}
	var signed, absolute []float64
	for l, name := range r.Layers {
		signed, absolute = append(signed, r.Correlation[l]...), append(absolute, r.Absolute[l]...)
		metadata[fmt.Sprintf("layer %d", l)] = name
	}
	return map[string]*tensors.Tensor{
		"correlation": tensors.FromFlatDataAndDimensions(signed, len(r.Layers), r.Len()),
		"absolute":    tensors.FromFlatDataAndDimensions(absolute, len(r.Layers), r.Len()),
		"classes":     int64s(r.Classes),
	}, metadata, nil
}

// Bundle shows the plot.
func (r *Randomised) Bundle() mime.Bundle { return r.Plot().Bundle() }

// Table is for each image the class explained, the infidelity of the values times their scale, the scale, the
// infidelity of the values as they are, and that of values which are all 0.
func (r *Infidelities) Table() table.Table {
	t := table.PerImage{Columns: []table.Column{
		table.ColumnOf("class", r.Classes), {Name: "name",
			At: func(i int) any { return className(r.ClassNames, r.Classes, i) }},
		table.ColumnOf("infidelity", r.Scaled), table.ColumnOf("scale", r.Scale),
		table.ColumnOf("unscaled", r.Unscaled), table.ColumnOf("of values of 0", r.Answers),
	}}.Table(r.Len())
	t.Title = fmt.Sprintf("%s: infidelity of %s under %s: %s", r.Model, r.Method, plural.Of(r.Samples, "perturbation"),
		r.Perturbation)
	return t
}

// Arrays are the columns of the table, [N] each.
func (r *Infidelities) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	return map[string]*tensors.Tensor{
			"scaled": vector(r.Scaled), "scale": vector(r.Scale), "unscaled": vector(r.Unscaled), "answers": vector(r.Answers),
			"classes": int64s(r.Classes),
		}, map[string]string{"model": r.Model, "method": r.Method, "perturbation": r.Perturbation,
			"samples": fmt.Sprint(r.Samples)}, nil
}

// Bundle shows the table.
func (r *Infidelities) Bundle() mime.Bundle { return r.Table().Bundle() }

// Table is for each image the class explained, and the largest and the mean change of its values.
func (r *Sensitivities) Table() table.Table {
	t := table.PerImage{Columns: []table.Column{
		table.ColumnOf("class", r.Classes), {Name: "name",
			At: func(i int) any { return className(r.ClassNames, r.Classes, i) }},
		table.ColumnOf("max-sensitivity", r.Max), table.ColumnOf("average sensitivity", r.Average),
	}}.Table(r.Len())
	within := fmt.Sprintf("within ±%.3g", r.Radius)
	if math.IsNaN(r.Radius) {
		within = "under given noise"
	}
	t.Title = fmt.Sprintf("%s: sensitivity of %s %s, %s", r.Model, r.Method, within, plural.Of(r.Samples, "copy"))
	return t
}

// Arrays are the columns of the table, [N] each.
func (r *Sensitivities) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	return map[string]*tensors.Tensor{"max": vector(r.Max), "average": vector(r.Average), "classes": int64s(r.Classes)},
		map[string]string{"model": r.Model, "method": r.Method, "radius": fmt.Sprint(r.Radius),
			"samples": fmt.Sprint(r.Samples)}, nil
}

// Bundle shows the table.
func (r *Sensitivities) Bundle() mime.Bundle { return r.Table().Bundle() }

func vector(values []float64) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(values, len(values))
}

func int64s(values []int) *tensors.Tensor {
	out := make([]int64, len(values))
	for i, v := range values {
		out[i] = int64(v)
	}
	return tensors.FromFlatDataAndDimensions(out, len(out))
}
