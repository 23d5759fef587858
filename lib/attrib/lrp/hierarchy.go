package lrp

import (
	"fmt"
	"maps"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Hierarchy is an attribution graph: a class, the concepts of a layer that it rests on, the concepts of a layer below
// that each of these rests on, and so on. Achtibat et al., Nature Machine Intelligence 5 (2023), figure 5.
type Hierarchy struct {
	// Concept is the class at the top, whose Layer is empty and Channel the class, and a channel below.
	Concept
	// Parts are the most relevant concepts of the layer below, most relevant first. A part's relevance is what comes to
	// it through this concept and all those above.
	Parts []*Hierarchy

	className string // of the class at the top
}

// Hierarchy takes a class of one image, [1, H, W, C], apart. layers go from the output down; each concept is
// taken apart into the widths[i] most relevant ones of layers[i]. All concepts of one layer run in one program.
//
// Interrupted, it returns the graph down to the last layer that is done beside the error; nil if none is.
func (c CRP) Hierarchy(m *model.Model, img *tensors.Tensor, class int, layers []string, widths []int) (*Hierarchy,
	error) {
	if len(layers) == 0 || len(layers) != len(widths) {
		return nil, fmt.Errorf(
			"lrp: a hierarchy takes a width for each of its layers, of which there is at least one; not %d widths for %d layers",
			len(widths), len(layers))
	}
	classes, err := m.TargetClasses(img, []int{class})
	if err != nil {
		return nil, err
	}
	if len(classes) != 1 {
		return nil, fmt.Errorf("lrp: a hierarchy is of one image, not of %d", len(classes))
	}
	logits, err := m.Logits(img)
	if err != nil {
		return nil, err
	}
	flat := tensors.MustCopyFlatData[float32](logits)
	if len(flat) == 1 { // one output tells two classes apart
		flat = []float32{-flat[0], flat[0]}
	}
	root := &Hierarchy{Concept: Concept{Channel: class, Relevance: float64(flat[class]), Share: 1},
		className: m.ClassName(class)}
	level, paths := []*Hierarchy{root}, []Condition{{}}
	bar := progress.New(m.Name()+": concepts layer by layer", len(layers))
	defer bar.Close()
	for i, layer := range layers {
		if widths[i] < 1 {
			return nil, fmt.Errorf("lrp: the width for layer %q is %d: it is at least 1", layer, widths[i])
		}
		relevance, err := c.Concepts(m, img, classes, layer, paths...)
		if interrupt.Is(err) && i > 0 {
			return root, interrupt.After(err, "lrp: hierarchy", i, len(layers), "layers")
		}
		if err != nil {
			return nil, err
		}
		flat := tensors.MustCopyFlatData[float32](relevance)
		count := relevance.Shape().Dimensions[2]
		var below []*Hierarchy
		var longer []Condition
		for k, node := range level {
			for _, concept := range top(layer, flat[k*count:(k+1)*count], widths[i]) {
				part := &Hierarchy{Concept: concept}
				node.Parts = append(node.Parts, part)
				below = append(below, part)
				path := maps.Clone(paths[k])
				path[layer] = []int{concept.Channel}
				longer = append(longer, path)
			}
		}
		level, paths = below, longer
		bar.Add(1)
	}
	return root, nil
}

// Grid shows the graph, a row for each level, every concept under the one that it is part of, with how much of that
// one's relevance is its own. references, by layer, give the pictures; a concept without any shows where it is relevant
// in the image.
func (h *Hierarchy) Grid(m *model.Model, img *tensors.Tensor, c CRP, references ...*References) (display.Grid, error) {
	g := display.Grid{Title: "what the class rests on"}
	pictures, err := display.Images(img)
	if err != nil {
		return g, err
	}
	shown := map[string]*References{}
	for _, r := range references {
		shown[r.Layer] = r
	}
	// The heatmaps of all concepts without references at once.
	var paths []Condition
	var bare []*Hierarchy
	h.walk(Condition{}, func(node *Hierarchy, path Condition) {
		if node != h && shown[node.Layer] == nil {
			paths, bare = append(paths, path), append(bare, node)
		}
	})
	tiles := map[*Hierarchy]display.Tile{h: {Image: pictures[0], Title: fmt.Sprintf("%s: %.1f", m.ClassName(h.Channel),
		h.Relevance)}}
	if len(paths) > 0 {
		heat, err := c.Heatmaps(m, img, []int{h.Channel}, paths...)
		if err != nil {
			return g, err
		}
		overlays, err := display.Overlays(pictures, heat, true)
		if err != nil {
			return g, err
		}
		for i, node := range bare {
			tiles[node] = display.Tile{Image: overlays[i]}
		}
	}
	bar := progress.New(m.Name()+": examples of concepts", 0)
	defer bar.Close()
	var add func(node *Hierarchy, depth, column int) (next int, err error)
	add = func(node *Hierarchy, depth, column int) (int, error) {
		for len(g.Rows) <= depth {
			g.Rows, g.Labels = append(g.Rows, nil), append(g.Labels, node.Layer)
		}
		tile := tiles[node]
		if r := shown[node.Layer]; r != nil && node != h {
			examples, err := Examples{CRP: c, Each: 1}.tiles(m, r, node.Channel)
			if err != nil {
				return 0, err
			}
			tile = examples[0]
			bar.Add(1)
		}
		if node != h {
			tile.Title = fmt.Sprintf("#%d: %.0f%%", node.Channel, 100*node.Share)
		}
		for len(g.Rows[depth]) < column {
			g.Rows[depth] = append(g.Rows[depth], display.Tile{})
		}
		g.Rows[depth] = append(g.Rows[depth], tile)
		next := column
		for _, part := range node.Parts {
			after, err := add(part, depth+1, next)
			if err != nil {
				return 0, err
			}
			next = after
		}
		return max(next, column+1), nil
	}
	_, err = add(h, 0, 0)
	return g, err
}

// walk visits a graph from the top, with the concepts that lead to each as a condition.
func (h *Hierarchy) walk(path Condition, visit func(node *Hierarchy, path Condition)) {
	visit(h, path)
	for _, part := range h.Parts {
		longer := maps.Clone(path)
		longer[part.Layer] = []int{part.Channel}
		part.walk(longer, visit)
	}
}
