package spurious

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Sheet shows what the first components are: for each the k images that have most of it, and below them the heatmaps of
// what in the image makes α large, by method. images are those that the components were made of, [N, H, W, C] float32
// in 0..1. Each image's α stands below it, and left how much of the variance the component has. Interrupted, Sheet
// returns the rows of the components that are done beside the error.
func (c *Components) Sheet(m *model.Model, images *tensors.Tensor, components, k int,
	method attrib.Method) (display.Grid, error) {
	n, _ := c.Alphas.Dims()
	if images == nil || images.Rank() != 4 || images.Shape().Dimensions[0] != n {
		return display.Grid{},
			fmt.Errorf("spurious: the components of class %d were made of %d images: give the same ones, [%d, H, W, C]",
				c.Class, n, n)
	}
	ds, err := data.FromTensor(images, nil, nil)
	if err != nil {
		return display.Grid{}, err
	}
	return c.sheet(m, ds, components, k, method)
}

// sheet is [Components.Sheet] of a dataset, of which only the images that are shown are read.
func (c *Components) sheet(
	m *model.Model, ds model.Dataset, components, k int, method attrib.Method,
) (display.Grid, error) {
	of, err := c.Model(m, components)
	if err != nil {
		return display.Grid{}, err
	}
	var all float64
	for _, v := range c.Variances {
		all += v
	}
	if method == nil {
		return display.Grid{}, fmt.Errorf("spurious: there is no method to explain components by: it is nil")
	}
	g := display.Grid{Title: c.ClassName, Bar: display.SignedBar}
	bar := progress.New(fmt.Sprintf("components of %s", c.ClassName), components)
	defer bar.Close()
	for l := range components {
		best := c.Top(l, k)
		pictures, err := ds.Images(best...)
		if err != nil {
			return g, err
		}
		a, err := method.Attribute(of, pictures, []int{l})
		if err != nil {
			return g, err
		}
		heat, err := a.Heatmap()
		if err != nil {
			return g, err
		}
		shown, err := display.Images(pictures)
		if err != nil {
			return g, err
		}
		heated, err := display.Overlays(shown, heat, true)
		if err != nil {
			return g, err
		}
		plain := display.Tiles(shown)
		for i, at := range best {
			plain[i].Title = fmt.Sprintf("%+.3g", c.Alphas.At(at, l))
		}
		g.Rows = append(g.Rows, plain, display.Tiles(heated))
		g.Labels = append(g.Labels, fmt.Sprintf("component %d\n%.0f%% of variance", l+1, 100*c.Variances[l]/all), a.Method)
		bar.Add(1)
	}
	return g, nil
}

// Wall shows the images of a ranking from the least to the most spurious, count of them at even steps, with their
// spuriosity.
func (r *Ranking) Wall(images *tensors.Tensor, count int) (display.Grid, error) {
	chosen, titles, err := r.steps(count)
	if err != nil {
		return display.Grid{}, err
	}
	ds, err := data.FromTensor(images, nil, nil)
	if err != nil {
		return display.Grid{}, err
	}
	if last := slices.Max(r.Images); last >= ds.Len() {
		return display.Grid{}, fmt.Errorf("spurious: there is no image %d: they are 0 to %d", last, ds.Len()-1)
	}
	pictures, err := ds.Images(chosen...)
	if err != nil {
		return display.Grid{}, err
	}
	return display.Gallery(pictures, titles...), nil
}

// steps are the images at count even steps from the least to the most spurious, and their spuriosity.
func (r *Ranking) steps(count int) (images []int, titles []string, err error) {
	if count < 1 || len(r.Images) == 0 {
		return nil, nil, fmt.Errorf("spurious: a wall of %d images of %d", count, len(r.Images))
	}
	count = min(count, len(r.Images))
	for i := range count {
		at := i * (len(r.Images) - 1) / max(count-1, 1)
		images, titles = append(images, r.Images[at]), append(titles, fmt.Sprintf("%+.2f", r.Scores[at]))
	}
	return images, titles, nil
}
