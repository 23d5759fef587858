package missing

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// mostPictures is how many a sheet has at most.
const mostPictures = 200

// Sheet runs the ablation and shows what the model was asked about: a row for each image, a column for each of Counts,
// and below each picture the class predicted and the probability p of the class predicted for the whole image. Tokens
// that are dropped are drawn black.
func (a Ablation) Sheet(m *model.Model, images *tensors.Tensor, segments *Segments, orders [][]int) (display.Grid,
	error) {
	if err := segments.check(images); err != nil {
		return display.Grid{}, err
	}
	if pictures := segments.Len() * len(a.Counts); pictures > mostPictures {
		return display.Grid{},
			fmt.Errorf("missing: a sheet of %d pictures is too large to look at: take fewer images or Counts, %d pictures at "+
				"most", pictures, mostPictures)
	}
	curve, err := a.Run(m, images, segments, orders)
	if err != nil {
		return display.Grid{}, err
	}
	how, ok := a.How.(Fill)
	if !ok {
		how = Fill{}
	}
	filler := how.With
	if filler.Name == "" {
		filler = mask.Constant(0)
	}
	g := display.Grid{Title: fmt.Sprintf("%s, %s", curve.Model, curve.How), Rows: make([][]display.Tile, curve.Len()),
		Side: 120}
	for step, count := range a.Counts {
		where, err := segments.Mask(orders, count)
		if err != nil {
			return g, err
		}
		if a.Keep {
			if err := tensors.MutableFlatData(where, func(flat []float32) {
				for i, v := range flat {
					flat[i] = 1 - v
				}
			}); err != nil {
				return g, fmt.Errorf("missing: %w", err)
			}
		}
		masked, err := mask.Apply(images, where, filler, how.Seed)
		if err != nil {
			return g, err
		}
		pictures, err := display.Images(masked)
		if err != nil {
			return g, err
		}
		g.Columns = append(g.Columns, fmt.Sprintf("%.0f%% %s", curve.Percent(step), curve.state()))
		for i := range g.Rows {
			title := fmt.Sprintf("%s\np %.2f", curve.classes[curve.Predicted[i][step]], curve.Probability[i][step])
			g.Rows[i] = append(g.Rows[i], display.Tile{Image: pictures[i], Title: title})
		}
	}
	return g, nil
}

// SideBySide shows explanations of images, [N, H, W, C] float32 in 0..1, by the same segments: a row for each image,
// with its segments and a heatmap for each of the explanations. Below a heatmap stand the class explained and how well
// the linear model fits.
func SideBySide(images *tensors.Tensor, explanations ...*Explanations) (display.Grid, error) {
	if len(explanations) == 0 {
		return display.Grid{}, fmt.Errorf("missing: there are no explanations to show side by side")
	}
	for i, e := range explanations {
		if e == nil || e.Segments == nil {
			return display.Grid{}, fmt.Errorf("missing: explanation %d of %d is empty", i+1, len(explanations))
		}
		if e.Segments != explanations[0].Segments {
			return display.Grid{}, fmt.Errorf("missing: explanation %d of %d is by other segments than the first", i+1,
				len(explanations))
		}
	}
	segments := explanations[0].Segments
	outlined, err := segments.Outlined(images)
	if err != nil {
		return display.Grid{}, err
	}
	if pictures := len(outlined) * (len(explanations) + 1); pictures > mostPictures {
		return display.Grid{},
			fmt.Errorf("missing: %d pictures are too many to look at: take fewer images, %d pictures at most", pictures,
				mostPictures)
	}
	plain, err := display.Images(images)
	if err != nil {
		return display.Grid{}, err
	}
	g := display.Grid{Columns: []string{"segments"}, Bar: display.SignedBar, Rows: make([][]display.Tile, len(outlined)),
		Side: 140}
	for i := range g.Rows {
		g.Rows[i] = []display.Tile{{Image: outlined[i]}}
	}
	for _, e := range explanations {
		g.Columns = append(g.Columns, e.Model+", "+e.How)
		if e.Len() == 0 {
			continue // interrupted before the first image
		}
		overlays, err := display.Overlays(plain[:e.Len()], e.Heatmaps(), true)
		if err != nil {
			return g, err
		}
		for i, picture := range overlays {
			g.Rows[i] = append(g.Rows[i], display.Tile{Image: picture, Title: fmt.Sprintf("%s\nR² %.2f", e.name(i), e.R2[i])})
		}
	}
	return g, nil
}
