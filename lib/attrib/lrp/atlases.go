package lrp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/table"
)

// AtlasOptions say of which layer the atlases of images are, and what stands for its concepts. The zero value has
// those of [CRP.Atlas], and no reference images.
type AtlasOptions struct {
	CRP   CRP
	Layer string // empty means model.SpatialLayer
	Count int    // how many concepts an image has; 0 means 6
	Cells int    // how many squares an atlas has on a side; 0 means 14, or the images' size where that is less
	Side  int    // of a picture, in pixels; 0 leaves it to display.Grid
	// From, unless nil, is where reference images come from, of the model's size: below each concept stand those for
	// which its channel is most relevant. Search says how they are found, and Examples how they are shown;
	// Examples.Each of 0 means 2.
	From     model.Dataset
	Search   Maximization
	Examples Examples
}

// Atlases are what a model sees in images: of each the atlas, and the most relevant channels of a layer with where
// they are relevant. They show themselves as a grid, for each image a row, and beneath it the reference images if
// there are any.
type Atlases struct {
	Atlases    []*Atlas
	Classes    []int       // explained, one for each image
	References *References // nil without From
	Picture    display.Grid

	names []string
}

// Of makes the atlases of images, [N, H, W, C] float32 in 0..1. classes are as for attrib.Method: none for the
// predicted ones. Achtibat et al., Nature Machine Intelligence 5 (2023).
//
// Interrupted, it returns the atlases that are done beside the error; nil if none is.
func (o AtlasOptions) Of(m *model.Model, images *tensors.Tensor, classes ...int) (*Atlases, error) {
	if m == nil {
		return nil, fmt.Errorf("lrp: there is no model whose concepts to look at: it is nil")
	}
	if o.Side < 0 {
		return nil, fmt.Errorf("lrp: pictures of %d pixels: they have one at least, or 0 for the default", o.Side)
	}
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	if o.Layer == "" {
		if o.Layer = m.SpatialLayer(); o.Layer == "" {
			return nil, fmt.Errorf("lrp: %s has no layer with places: name one of its Layers", m.Name())
		}
	}
	if o.Cells == 0 {
		o.Cells = min(14, m.Spec().Height, m.Spec().Width)
	}
	if o.Examples.Each == 0 {
		o.Examples.Each = 2
	}
	all := &Atlases{Classes: classes}
	all.Picture = display.Grid{Title: "concepts of " + o.Layer, Bar: display.SignedBar, Side: o.Side}
	if o.From != nil {
		found, err := o.Search.Search(m, o.From, o.Layer)
		if err != nil {
			return nil, err
		}
		all.References = found[0]
	}
	bar := progress.New(m.Name()+": concepts of images", len(classes))
	defer bar.Close()
	for i, class := range classes {
		one, err := rows.Take(images, i, i+1, 1)
		if err != nil {
			return nil, err
		}
		a, err := o.CRP.Atlas(m, one, class, o.Layer, o.Count, o.Cells)
		var g display.Grid
		if err == nil {
			g, err = a.Grid(m, all.References, o.Examples)
		}
		if err != nil {
			all.Classes = classes[:i]
			if err = interrupt.After(err, "lrp: concepts", i, len(classes), "images"); interrupt.Is(err) && i > 0 {
				return all, err
			}
			return nil, err
		}
		all.Atlases, all.names = append(all.Atlases, a), append(all.names, m.ClassName(class))
		for k, row := range g.Rows {
			label := ""
			if k == 0 {
				label = m.ClassName(class)
			}
			all.Picture.Rows, all.Picture.Labels = append(all.Picture.Rows, row), append(all.Picture.Labels, label)
		}
		bar.Add(1)
	}
	return all, nil
}

// Table lists the concepts of each image, most relevant first, with their relevance in units of the logit.
func (a *Atlases) Table() table.Table {
	t := table.Table{Header: []string{"index", "class", "name", "layer", "channel", "relevance", "share"}}
	for i, atlas := range a.Atlases {
		for _, c := range atlas.Concepts {
			t.Add(i, a.Classes[i], a.names[i], c.Layer, c.Channel, c.Relevance, table.Percent(c.Share))
		}
	}
	return t
}

// Arrays are the classes explained, [N] int64; of the K concepts of each image the channels, [N, K] int64, the relevance
// in units of the logit and its share, [N, K] float64, and the heatmaps, [N, K, H, W] float32; and the concept of each
// part, or -1, [N, cells, cells] int64.
func (a *Atlases) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if a == nil || len(a.Atlases) == 0 {
		return nil, nil, errNoAtlases
	}
	var channels, cells []int
	var relevance, shares []float64
	var heatmaps []float32
	first := a.Atlases[0]
	n, k, side := len(a.Atlases), len(first.Concepts), len(first.Cells)
	for i, atlas := range a.Atlases {
		if len(atlas.Concepts) != k || len(atlas.Cells) != side ||
			!slices.Equal(atlas.Heatmaps.Shape().Dimensions, first.Heatmaps.Shape().Dimensions) {
			return nil, nil, fmt.Errorf("lrp: the atlas of image %d has another size than that of image 0", i)
		}
		for _, c := range atlas.Concepts {
			channels, relevance, shares = append(channels, c.Channel), append(relevance, c.Relevance), append(shares, c.Share)
		}
		for _, row := range atlas.Cells {
			cells = append(cells, row...)
		}
		flat, err := tensors.CopyFlatData[float32](atlas.Heatmaps)
		if err != nil {
			return nil, nil, fmt.Errorf("lrp: %w", err)
		}
		heatmaps = append(heatmaps, flat...)
	}
	return map[string]*tensors.Tensor{
		"classes":   tensors.FromValue(a.Classes),
		"channels":  tensors.FromFlatDataAndDimensions(channels, n, k),
		"relevance": tensors.FromFlatDataAndDimensions(relevance, n, k),
		"shares":    tensors.FromFlatDataAndDimensions(shares, n, k),
		"heatmaps":  tensors.FromFlatDataAndDimensions(heatmaps, append([]int{n}, first.Heatmaps.Shape().Dimensions...)...),
		"cells":     tensors.FromFlatDataAndDimensions(cells, n, side, side),
	}, map[string]string{"layer": first.Layer}, nil
}

// errNoAtlases is of Atlases that nothing has made.
var errNoAtlases = errors.New("lrp: there are no atlases: AtlasOptions.Of makes them")

// Grid is the picture.
func (a *Atlases) Grid() display.Grid { return a.Picture }

// Bundle shows the grid.
func (a *Atlases) Bundle() mime.Bundle { return a.Picture.Bundle() }
