package sound

import (
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Sheet shows the maps: a row for each image, which comes first, and a column for each label. Below a map stand the
// label's probability p, and the completeness α at the predicted label or the soundness β at another. images are those
// that were evaluated, [N, H, W, C].
func (e *Evaluation) Sheet(images *tensors.Tensor) (display.Grid, error) {
	values, err := tensors.CopyFlatData[float32](e.Maps.Values)
	if err != nil {
		return display.Grid{}, fmt.Errorf("sound: %w", err)
	}
	signed := slices.Min(values) < 0
	bar := display.UnsignedBar
	if signed {
		bar = display.SignedBar
	}
	g, err := e.sheet(images, func(pictures []image.Image) ([]image.Image, error) {
		return display.Overlays(pictures, e.Maps.Values, signed)
	})
	g.Title, g.Bar = e.Maps.Method, bar
	return g, err
}

// Kept is the sheet of what the network sees: of each image the fraction of pixels that the map ranks highest, with
// filler in the place of the others; the zero Filler means [mask.DatasetMean]. p is the label's probability for what is
// seen, and AUC the mean along the whole curve.
func (e *Evaluation) Kept(m *model.Model, images *tensors.Tensor, fraction float64, filler mask.Filler) (display.Grid,
	error) {
	p, err := pairsOf(m, images, e.Maps.Labels)
	if err != nil {
		return display.Grid{}, err
	}
	values, err := tensors.CopyFlatData[float32](e.Maps.Values)
	if err != nil {
		return display.Grid{}, fmt.Errorf("sound: %w", err)
	}
	d := e.Maps.Values.Shape().Dimensions
	if !slices.Equal(p.images.Shape().Dimensions[:3], []int{d[0] * d[1], d[2], d[3]}) {
		return display.Grid{}, fmt.Errorf("sound: the maps are of %d images of %dx%d: give the same ones", d[0], d[2], d[3])
	}
	top, err := mask.Top(tensors.FromFlatDataAndDimensions(values, d[0]*d[1], d[2], d[3]), fraction)
	if err != nil {
		return display.Grid{}, err
	}
	if filler.Name == "" {
		filler = mask.DatasetMean(m)
	}
	kept, err := mask.Keep(p.images, top, filler, 0)
	if err != nil {
		return display.Grid{}, err
	}
	pictures, err := display.Images(kept)
	if err != nil {
		return display.Grid{}, err
	}
	probabilities, err := m.Probabilities(kept)
	if err != nil {
		return display.Grid{}, err
	}
	all, err := tensors.CopyFlatData[float32](probabilities)
	if err != nil {
		return display.Grid{}, fmt.Errorf("sound: %w", err)
	}
	g, err := e.sheet(images, func([]image.Image) ([]image.Image, error) { return pictures, nil })
	if err != nil {
		return g, err
	}
	for i := range g.Rows {
		for l, label := range e.Maps.Labels[i] {
			g.Rows[i][l+1].Title = e.title(i, l, fmt.Sprintf("p %.2f, AUC %.2f", all[(i*d[1]+l)*m.NumClasses()+label],
				e.AUC[i][l]))
		}
	}
	g.Title = fmt.Sprintf("%s: the first %.3g%% of the pixels", e.Maps.Method, 100*fraction)
	return g, nil
}

// sheet lays out what tiles makes of the images: one for each label of each.
func (e *Evaluation) sheet(images *tensors.Tensor, tiles func(pictures []image.Image) ([]image.Image, error)) (
	display.Grid, error) {
	n := len(e.Predicted)
	if images == nil || images.Rank() != 4 || images.Shape().Dimensions[0] < n {
		return display.Grid{}, fmt.Errorf("sound: the evaluation is of %d images: give the same ones, [N, H, W, C]", n)
	}
	pictures, err := display.Images(images)
	if err != nil {
		return display.Grid{}, err
	}
	pictures = pictures[:n]
	made, err := tiles(pictures)
	if err != nil {
		return display.Grid{}, err
	}
	g := display.Grid{Columns: []string{"image"}}
	if e.alike() {
		g.Columns = append(g.Columns, e.Maps.ClassNames[0]...)
	}
	for i, picture := range pictures {
		row := []display.Tile{{Image: picture}}
		for l, label := range e.Maps.Labels[i] {
			score := fmt.Sprintf("β %.2f", e.Soundness[i][l])
			if label == e.Predicted[i] {
				score = fmt.Sprintf("α %.2f", e.Completeness[i][l])
				row[0].Title = e.Maps.ClassNames[i][l]
			}
			row = append(row, display.Tile{Image: made[i*len(e.Maps.Labels[i])+l],
				Title: e.title(i, l, fmt.Sprintf("p %.2f, %s", e.Probability[i][l], score))})
		}
		g.Rows = append(g.Rows, row)
	}
	return g, nil
}

// alike reports whether all images have the same labels.
func (e *Evaluation) alike() bool {
	for _, of := range e.Maps.Labels {
		if !slices.Equal(of, e.Maps.Labels[0]) {
			return false
		}
	}
	return true
}

// title has the label's name where no column has it.
func (e *Evaluation) title(i, l int, says string) string {
	if e.alike() {
		return says
	}
	return e.Maps.ClassNames[i][l] + "\n" + says
}

// Curves plots, for each evaluation, the mean probability of a label over the share of pixels that the network sees:
// predicted is for the predicted labels, which complete maps raise early, and others for the other labels, which sound
// maps leave low.
func Curves(evaluations ...*Evaluation) (predicted, others display.Lines) {
	predicted = display.Lines{Title: "predicted label", X: "share of pixels seen", Y: "probability", YMin: 0, YMax: 1}
	others = display.Lines{Title: "other labels", X: "share of pixels seen", Y: "probability", YMin: 0, YMax: 1}
	for _, e := range evaluations {
		of := [2]display.Series{{Name: e.Maps.Method, X: e.Fractions}, {Name: e.Maps.Method, X: e.Fractions}}
		var sums [2][]float64
		var counts [2]float64
		for k := range sums {
			sums[k] = make([]float64, len(e.Fractions))
		}
		for i, labels := range e.Maps.Labels {
			for l, label := range labels {
				k := 1
				if label == e.Predicted[i] {
					k = 0
				}
				counts[k]++
				for t, v := range e.Curve[i][l] {
					sums[k][t] += v
				}
			}
		}
		for k, lines := range []*display.Lines{&predicted, &others} {
			if counts[k] == 0 {
				continue
			}
			for t := range sums[k] {
				sums[k][t] /= counts[k]
			}
			of[k].Y = sums[k]
			lines.Series = append(lines.Series, of[k])
		}
	}
	return predicted, others
}

// Grid shows the maps of the images, each with its label. [Evaluation.Sheet] lays those that were evaluated over the
// images.
func (m *Maps) Grid() (display.Grid, error) {
	var titles []string
	for _, names := range m.ClassNames {
		titles = append(titles, names...)
	}
	g, err := display.HeatGrid(m.Values, titles...)
	if g.Title == "" {
		g.Title = m.Method
	}
	return g, err
}

// Bundle shows the grid.
func (m *Maps) Bundle() mime.Bundle { return display.Shown(m.Grid()) }

// Table has a row for each image and label, with the last step's loss.
func (l *LearnedMasks) Table() table.Table {
	t := table.Table{Title: l.Method, Header: []string{"index", "class", "name", "steps", "loss at first", "loss at last"}}
	for i, labels := range l.Labels {
		for k, label := range labels {
			loss := l.Loss[i][k]
			row := []any{i, label, l.ClassNames[i][k], len(loss), nil, nil}
			if len(loss) > 0 {
				row[4], row[5] = loss[0], loss[len(loss)-1]
			}
			t.Add(row...)
		}
	}
	return t
}

// Plot shows what [Curves] does of this evaluation, in one plot.
func (e *Evaluation) Plot() display.Lines {
	predicted, others := Curves(e)
	lines := display.Lines{Title: e.Maps.Method, X: predicted.X, Y: predicted.Y, YMin: 0, YMax: 1}
	for name, of := range map[string]display.Lines{"predicted label": predicted, "other labels": others} {
		for _, s := range of.Series {
			s.Name = name
			lines.Series = append(lines.Series, s)
		}
	}
	slices.SortFunc(lines.Series, func(a, b display.Series) int { return strings.Compare(b.Name, a.Name) })
	return lines
}

// Table has a row for each image and label: the label's probability p, the area under its curve, the completeness α and
// the soundness β.
func (e *Evaluation) Table() table.Table {
	t := table.Table{Title: e.Maps.Method, Header: []string{"index", "class", "name", "predicted", "probability", "AUC",
		"completeness", "soundness"}}
	for i, labels := range e.Maps.Labels {
		for l, label := range labels {
			t.Add(i, label, e.Maps.ClassNames[i][l], label == e.Predicted[i], e.Probability[i][l], e.AUC[i][l],
				e.Completeness[i][l], e.Soundness[i][l])
		}
	}
	return t
}

// Bundle shows the score, where there is one, and the plot.
func (e *Evaluation) Bundle() mime.Bundle {
	plot := e.Plot().Bundle()
	scores, err := Table(e)
	if err != nil { // of labels that score nothing, as of single images
		return plot
	}
	return display.Stack(scores.Bundle(), plot)
}
