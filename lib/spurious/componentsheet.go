package spurious

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
)

// NeuralPCA says how the components of a class are shown.
type NeuralPCA struct {
	Components int // the first so many; 0 means 4, or all if there are fewer
	Each       int // how many images each has; 0 means 5
	Side       int // of a picture, in pixels; 0 leaves it to display.Grid
	// Method shows where in an image a component is. Nil means Grad-CAM with its sign, as in the paper, or integrated
	// gradients for a network without a layer that has places.
	Method attrib.Method
}

// ComponentSheet is what the recognition of a class rests on: its components, and the images that show what they stand
// for. It shows itself as [Components.Sheet], and is saved as that picture or as the table of the components.
type ComponentSheet struct {
	Components
	Images  []int        // which images of the dataset the components were made of, [N]: the rows of Alphas
	Picture display.Grid // the sheet
}

// Of makes the components of a class from the images of a dataset that have its label, and shows the first. In a
// dataset of which no image has a label, all are taken for images of the class. The labels meet the model's classes by
// name: see model.LabelsOf. Neuhaus et al., section 3; the class is in the model's numbering.
//
// Interrupted, it returns the components with the rows of those that are drawn beside the error; nil if there are no
// components yet.
func (l NeuralPCA) Of(m *model.Model, ds model.Labeled, class int) (*ComponentSheet, error) {
	if l.Components < 0 || l.Each < 0 || l.Side < 0 {
		return nil, fmt.Errorf(
			"spurious: %d components with %d images each, %d pixels wide: each is one at least, or 0 for the default",
			l.Components, l.Each, l.Side)
	}
	if m == nil {
		return nil, fmt.Errorf("spurious: there is no model whose class to look at: it is nil")
	}
	images, err := labelledAs(m, ds, class)
	if err != nil {
		return nil, err
	}
	of := chosen{ds, images}
	c, err := ClassPCA(m, of, class)
	if err != nil {
		return nil, err
	}
	if l.Components == 0 {
		l.Components = min(4, c.Len())
	}
	if l.Each == 0 {
		l.Each = 5
	}
	if l.Method == nil {
		l.Method = attrib.GradCAM{Signed: true}
		if m.SpatialLayer() == "" {
			l.Method = attrib.IntegratedGradients{}
		}
	}
	g := &ComponentSheet{Components: *c, Images: images}
	g.Picture, err = c.sheet(m, of, l.Components, l.Each, l.Method)
	g.Picture.Side = l.Side
	err = interrupt.After(err, "spurious: components", len(g.Picture.Rows)/2, l.Components, "components")
	if err != nil && !interrupt.Is(err) {
		return nil, err
	}
	return g, err
}

// labelledAs are the numbers of the images of a class, or all of a dataset without labels.
func labelledAs(m *model.Model, ds model.Labeled, class int) ([]int, error) {
	labels, err := m.LabelsOf(ds)
	if err != nil {
		return nil, fmt.Errorf("spurious: %w", err)
	}
	if class < 0 || class >= m.NumClasses() {
		return nil, fmt.Errorf("spurious: class %d does not exist: %s has the classes 0 to %d",
			class, m.Name(), m.NumClasses()-1)
	}
	var all, of []int
	labelled := false
	for i, label := range labels {
		all = append(all, i)
		labelled = labelled || label >= 0
		if label == class {
			of = append(of, i)
		}
	}
	if !labelled {
		of = all
	}
	if len(of) < 2 {
		return nil, fmt.Errorf("spurious: components need two images of %s, and there is %d of %d",
			m.ClassName(class), len(of), len(labels))
	}
	return of, nil
}

// chosen are some images of a dataset.
type chosen struct {
	ds     model.Dataset
	images []int
}

func (c chosen) Len() int { return len(c.images) }

func (c chosen) Images(indices ...int) (*tensors.Tensor, error) {
	at := make([]int, len(indices))
	for k, i := range indices {
		at[k] = c.images[i]
	}
	return c.ds.Images(at...)
}

// Having counts, among the k images that have most of a component, counted from 0, those that have something, such as
// a mark that was planted: has are the numbers in the dataset of all that have it. It is an error for a component that
// there is not, or more images than the class has.
func (g *ComponentSheet) Having(component, k int, has map[int]bool) (int, error) {
	if component < 0 || component >= g.Len() || k < 1 || k > len(g.Images) {
		return 0, fmt.Errorf("spurious: %s has the components 0 to %d of %d images, and no %d images with most of %d",
			g.ClassName, g.Len()-1, len(g.Images), k, component)
	}
	n := 0
	for _, i := range g.Top(component, k) {
		if has[g.Images[i]] {
			n++
		}
	}
	return n, nil
}

// Arrays are those of the components, and the numbers of the images in the dataset, [N] int64.
func (g *ComponentSheet) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if g == nil {
		return nil, nil, fmt.Errorf("spurious: there are no components: NeuralPCA.Of finds them")
	}
	arrays, metadata, err := g.Components.Arrays()
	if err != nil {
		return nil, nil, err
	}
	arrays["images"] = tensors.FromValue(g.Images)
	return arrays, metadata, nil
}

// Grid is the sheet.
func (g *ComponentSheet) Grid() display.Grid { return g.Picture }

// Bundle shows the sheet.
func (g *ComponentSheet) Bundle() mime.Bundle { return g.Picture.Bundle() }
