package lrp

import (
	"fmt"
	"image"
	"image/color"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Concept is a channel of a layer and what it is responsible for.
type Concept struct {
	Layer   string
	Channel int
	// Relevance is the sum over positions, in units of the logit, and Share that over the sum of the absolute
	// relevances of all the layer's channels.
	Relevance, Share float64
}

// top are the k channels of a layer with the highest relevance, most relevant first.
func top(layer string, relevance []float32, k int) []Concept {
	shares := slices.Clone(relevance)
	normalise(shares)
	var all []Concept
	for c, v := range relevance {
		all = append(all, Concept{layer, c, float64(v), float64(shares[c])})
	}
	slices.SortStableFunc(all, func(a, b Concept) int {
		switch {
		case a.Relevance > b.Relevance:
			return -1
		case a.Relevance < b.Relevance:
			return 1
		}
		return 0
	})
	return all[:min(k, len(all))]
}

// Atlas is a map of an image that says, for each part, which concept of a layer the model uses most there.
// Achtibat et al., Nature Machine Intelligence 5 (2023), figure 4 (local analysis with the concept atlas).
type Atlas struct {
	Layer string
	// Concepts are the most relevant channels, most relevant first, and Heatmaps their conditional relevance, [K, H,
	// W].
	Concepts []Concept
	Heatmaps *tensors.Tensor
	// Cells are the parts, rows of squares: each is the number of the concept with the highest relevance there, or -1
	// where none of them speaks for the class.
	Cells [][]int

	image image.Image
}

// Atlas makes the atlas of one image, [1, H, W, C], for a class: of the k most relevant channels of a layer (0 means
// 6), with cells squares on a side (0 means 14).
//
// Interrupted, it returns the atlas of those concepts, from the most relevant on, whose heatmaps are done beside the
// error; nil if none is.
func (c CRP) Atlas(m *model.Model, img *tensors.Tensor, class int, layer string, k, cells int) (*Atlas, error) {
	if k == 0 {
		k = 6
	}
	if cells == 0 {
		cells = 14
	}
	h, w := m.Spec().Height, m.Spec().Width
	if k < 0 || cells < 1 || cells > min(h, w) {
		return nil, fmt.Errorf("lrp: an atlas has at least one concept and 1 to %d cells on a side, not %d and %d",
			min(h, w), k, cells)
	}
	relevance, err := c.Concepts(m, img, []int{class}, layer)
	if err != nil {
		return nil, err
	}
	if relevance.Shape().Dimensions[0] != 1 {
		return nil, fmt.Errorf("lrp: an atlas is of one image, not of %d", relevance.Shape().Dimensions[0])
	}
	a := &Atlas{Layer: layer, Concepts: top(layer, tensors.MustCopyFlatData[float32](relevance), k)}
	var conditions []Condition
	for _, concept := range a.Concepts {
		conditions = append(conditions, Condition{layer: {concept.Channel}})
	}
	composite, err := compositeFor(c.Composite, m)
	if err != nil {
		return nil, err
	}
	// The concepts are the rows of one program.
	results, stopped := c.oneProgram(composite, m, img, []int{class}, conditions, "")
	if results == nil {
		return nil, stopped
	}
	a.Heatmaps = results[0]
	a.Concepts = a.Concepts[:a.Heatmaps.Shape().Dimensions[0]]
	stopped = interrupt.After(stopped, "lrp: atlas", len(a.Concepts), len(conditions), "concepts")
	flat, err := tensors.CopyFlatData[float32](a.Heatmaps)
	if err != nil {
		return nil, fmt.Errorf("lrp: %w", err)
	}
	for row := range cells {
		a.Cells = append(a.Cells, make([]int, cells))
		for column := range cells {
			best, most := -1, 0.0
			for i := range a.Concepts {
				sum := 0.0
				for y := row * h / cells; y < (row+1)*h/cells; y++ {
					for x := column * w / cells; x < (column+1)*w/cells; x++ {
						sum += float64(flat[(i*h+y)*w+x])
					}
				}
				if sum > most {
					best, most = i, sum
				}
			}
			a.Cells[row][column] = best
		}
	}
	pictures, err := display.Images(img)
	if err != nil {
		return nil, err
	}
	a.image = pictures[0]
	return a, stopped
}

// atlasColors tell concepts apart, also for people who are colour-blind (Okabe and Ito).
var atlasColors = []color.RGBA{{230, 159, 0, 255}, {86, 180, 233, 255}, {0, 158, 115, 255}, {240, 228, 66, 255},
	{0, 114, 178, 255}, {213, 94, 0, 255}, {204, 121, 167, 255}, {120, 120, 120, 255}}

// Picture lays the concepts' colours over the image.
func (a *Atlas) Picture() image.Image {
	size := a.image.Bounds().Size()
	out := image.NewRGBA(image.Rect(0, 0, size.X, size.Y))
	for y := range size.Y {
		for x := range size.X {
			r, g, b, _ := a.image.At(a.image.Bounds().Min.X+x, a.image.Bounds().Min.Y+y).RGBA()
			c := color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255}
			if i := a.Cells[y*len(a.Cells)/size.Y][x*len(a.Cells)/size.X]; i >= 0 {
				over := atlasColors[i%len(atlasColors)]
				mix := func(a, b uint8) uint8 { return uint8((int(a)*45 + int(b)*55) / 100) }
				c = color.RGBA{mix(c.R, over.R), mix(c.G, over.G), mix(c.B, over.B), 255}
			}
			out.SetRGBA(x, y, c)
		}
	}
	return out
}

// Grid shows the image, the atlas and the concepts' heatmaps, each under a patch of its colour, and in a row below what
// the concepts stand for, if references are given.
func (a *Atlas) Grid(m *model.Model, references *References, examples Examples) (display.Grid, error) {
	g := display.Grid{Title: "concepts of " + a.Layer, Bar: display.SignedBar}
	first := []display.Tile{{Image: a.image, Title: "image"}, {Image: a.Picture(), Title: "atlas"}}
	overlays, err := display.Overlays([]image.Image{a.image}, a.Heatmaps, true)
	if err != nil {
		return g, err
	}
	for i, concept := range a.Concepts {
		first = append(first, display.Tile{Image: framed(overlays[i], atlasColors[i%len(atlasColors)]),
			Title: fmt.Sprintf("#%d: %.0f%%", concept.Channel, 100*concept.Share)})
	}
	g.Rows = append(g.Rows, first)
	if references == nil {
		return g, nil
	}
	examples.Each = max(examples.Each, 1)
	columns := make([][]display.Tile, len(a.Concepts))
	bar := progress.New(m.Name()+": examples of concepts", len(columns))
	defer bar.Close()
	for i, concept := range a.Concepts {
		tiles, err := examples.tiles(m, references, concept.Channel)
		if err != nil {
			return g, err
		}
		columns[i] = tiles
		bar.Add(1)
	}
	for n := range examples.Each {
		row := make([]display.Tile, 2)
		for _, tiles := range columns {
			if n < len(tiles) {
				row = append(row, tiles[n])
			} else {
				row = append(row, display.Tile{})
			}
		}
		g.Rows = append(g.Rows, row)
	}
	return g, nil
}

// framed puts a coloured border around a picture.
func framed(img image.Image, c color.RGBA) image.Image {
	size := img.Bounds().Size()
	out := image.NewRGBA(image.Rect(0, 0, size.X, size.Y))
	border := max(size.X/24, 1)
	for y := range size.Y {
		for x := range size.X {
			if min(x, y, size.X-1-x, size.Y-1-y) < border {
				out.SetRGBA(x, y, c)
			} else {
				out.Set(x, y, img.At(img.Bounds().Min.X+x, img.Bounds().Min.Y+y))
			}
		}
	}
	return out
}
