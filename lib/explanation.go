package loupe

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/table"
)

// Explanation is what several methods find in the same images; it shows itself as a grid, a row for each image. [Save]
// keeps the grid as .png or .pdf, its numbers as .npz or .safetensors, and what they sum to as .csv or .json.
type Explanation struct {
	Attributions []*attrib.Attribution
	images       *tensors.Tensor
	top          []model.Prediction // the classes explained
	files        []string           // names of the images, if known
}

// Explain explains the predicted class of each image by each of the methods; no methods means those of attrib.Methods,
// without class activation maps of a network that has no layer with places, such as an MLP.
// Interrupted, it shows what the methods found that were finished, which [Partial] returns as an Explanation.
func Explain(m *model.Model, images any, methods ...attrib.Method) Explanation {
	if len(methods) == 0 {
		methods = methodsFor(m)
	}
	images, files := withNames(images)
	e := Explanation{images: Images(m, images), files: files}
	top := TopK(m, e.images, 1)
	classes := top.Classes()
	for _, best := range top.Top {
		e.top = append(e.top, best[0])
	}
	bar := progress.New(m.Name()+": attribution methods", len(methods))
	defer bar.Close()
	for i, method := range methods {
		if method == nil {
			panic(fmt.Errorf("loupe: method %d of %d is nil", i+1, len(methods)))
		}
		a, err := method.Attribute(m, e.images, classes)
		if interrupt.Is(err) && len(e.Attributions) > 0 {
			showPart(e)
			must(e, interrupt.After(err, "loupe: explaining", len(e.Attributions), len(methods), "methods"))
		}
		e.Attributions = append(e.Attributions, must(a, err))
		bar.Add(1)
	}
	return e
}

// methodsFor are those of attrib.Methods that a model's layers allow.
func methodsFor(m *model.Model) []attrib.Method {
	methods := attrib.Methods()
	if m.SpatialLayer() != "" {
		return methods
	}
	return slices.DeleteFunc(methods, func(method attrib.Method) bool {
		switch method.(type) {
		case attrib.GradCAM, attrib.GradCAMPlusPlus, attrib.LayerCAM:
			return true
		}
		return false
	})
}

// Grid lays the heatmaps out: rows are images, columns methods.
func (e Explanation) Grid() (display.Grid, error) {
	pictures, err := display.Images(e.images)
	if err != nil {
		return display.Grid{}, err
	}
	g := display.Grid{Columns: []string{"image"}, Bar: display.SignedBar}
	for i, p := range e.top {
		label := fmt.Sprintf("%s\n%.1f%%", p.Name, 100*p.Probability)
		if e.files != nil {
			label += "\n" + path.Base(e.files[i])
		}
		g.Labels = append(g.Labels, label)
	}
	for _, tile := range display.Tiles(pictures) {
		g.Rows = append(g.Rows, []display.Tile{tile})
	}
	for _, a := range e.Attributions {
		g.Columns = append(g.Columns, a.Title())
		heat, err := a.Heatmap()
		if err != nil {
			return g, err
		}
		overlays, err := display.Overlays(pictures, heat, true)
		if err != nil {
			return g, err
		}
		for i, tile := range display.Tiles(overlays) {
			g.Rows[i] = append(g.Rows[i], tile)
		}
	}
	return g, nil
}

// names are those of the methods, numbered where there are two of a name.
func (e Explanation) names() []string {
	names := []string{"images", "classes"} // what else is in Arrays
	for _, a := range e.Attributions {
		name := a.Method
		for n := 2; slices.Contains(names, name); n++ {
			name = fmt.Sprintf("%s (%d)", a.Method, n)
		}
		names = append(names, name)
	}
	return names[2:]
}

// Table is for each image the class explained with its probability and, by each method, the sum of its values and by
// how much completeness fails where the method promises it.
func (e Explanation) Table() (table.Table, error) {
	t := table.PerImage{Files: e.files, Columns: []table.Column{
		{Name: "class", At: func(i int) any { return e.top[i].Class }},
		{Name: "name", At: func(i int) any { return e.top[i].Name }},
		{Name: "probability", At: func(i int) any { return e.top[i].Probability }},
	}}
	for k, name := range e.names() {
		sums, err := e.Attributions[k].Sums()
		if err != nil {
			return table.Table{}, err
		}
		t.Columns = append(t.Columns, table.ColumnOf(name+": sum of the values", sums))
		if delta := e.Attributions[k].Delta; delta != nil {
			t.Columns = append(t.Columns, table.ColumnOf(name+": completeness fails by", delta))
		}
	}
	return t.Table(len(e.top)), nil
}

// Arrays are the images, [N, H, W, C], the classes explained, [N], and the values of each method by its name.
func (e Explanation) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if e.images == nil {
		return nil, nil, errors.New("loupe: this explanation has no images: Explain makes one")
	}
	classes := make([]int64, len(e.top))
	for i, p := range e.top {
		classes[i] = int64(p.Class)
	}
	arrays := map[string]*tensors.Tensor{"images": e.images, "classes": tensors.FromFlatDataAndDimensions(classes,
		len(classes))}
	for k, name := range e.names() {
		arrays[name] = e.Attributions[k].Values
	}
	return arrays, nil, nil
}

// Bundle shows the grid.
func (e Explanation) Bundle() mime.Bundle {
	g, err := e.Grid()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return g.Bundle()
}
