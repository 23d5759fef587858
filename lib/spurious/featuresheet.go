package spurious

import (
	"fmt"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/model"
)

// FeatureSheet shows what a network knows a class by: for each of its most important features the k images of the
// dataset, of whatever class, that have most of it, and below them where in each the feature is
// ([NeuralActivationMap]). The dataset is labelled and prepared for the network, and holds images of the class that it
// recognises; class is in the network's numbering.
func FeatureSheet(m *model.Model, ds model.Labeled, class, features, k int) (display.Grid, error) {
	if m == nil {
		return display.Grid{}, fmt.Errorf("spurious: there is no model to show features of: it is nil")
	}
	if features < 1 || k < 1 {
		return display.Grid{}, fmt.Errorf("spurious: a sheet of %d features and %d images of each", features, k)
	}
	head, err := m.Head()
	if err != nil {
		return display.Grid{}, err
	}
	e, err := ExamplesOf(m, ds)
	if err != nil {
		return display.Grid{}, err
	}
	importance, err := Importance(head, e, class)
	if err != nil {
		return display.Grid{}, err
	}
	g := display.Grid{Title: m.ClassName(class), Bar: display.UnsignedBar}
	for _, feature := range MostImportant(importance, features) {
		values := make([]float64, len(e.Labels))
		for i := range values {
			values[i] = e.Features.At(i, feature)
		}
		images, err := ds.Images(top(values, k)...)
		if err != nil {
			return g, err
		}
		where, err := NeuralActivationMap(m, images, feature)
		if err != nil {
			return g, err
		}
		pictures, err := display.Images(images)
		if err != nil {
			return g, err
		}
		heated, err := display.Overlays(pictures, where, false)
		if err != nil {
			return g, err
		}
		g.Rows = append(g.Rows, display.Tiles(pictures), display.Tiles(heated))
		g.Labels = append(g.Labels, fmt.Sprintf("feature %d", feature), "activation")
	}
	return g, nil
}
