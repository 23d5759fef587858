package spray

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/manifold"
	"github.com/loupeml/loupe/lib/model"
)

// Sheet shows the clusters: of each the k most typical images, and below them their heatmaps. ds is the dataset that was analysed.
func (a *Analysis) Sheet(ds model.Dataset, k int) (display.Grid, error) {
	g := display.Grid{Title: a.ClassName, Bar: display.SignedBar}
	if k < 1 {
		return g, fmt.Errorf("spray: a sheet shows 1 image of each cluster or more, not %d", k)
	}
	heat, err := tensors.CopyFlatData[float32](a.Heatmaps)
	if err != nil {
		return g, fmt.Errorf("spray: %w", err)
	}
	h, w := a.Heatmaps.Shape().Dimensions[1], a.Heatmaps.Shape().Dimensions[2]
	for cluster := range a.Count() {
		members := a.Members(cluster)
		shown := members[:min(k, len(members))]
		var at []int
		var part []float32 // their heatmaps
		for _, i := range shown {
			if a.Images[i] >= ds.Len() {
				return g, fmt.Errorf("spray: image %d was analysed, and the dataset has %d: give the one that was analysed", a.Images[i], ds.Len())
			}
			at, part = append(at, a.Images[i]), append(part, heat[i*h*w:(i+1)*h*w]...)
		}
		images, err := ds.Images(at...)
		if err != nil {
			return g, err
		}
		pictures, err := display.Images(images)
		if err != nil {
			return g, err
		}
		overlays, err := display.Overlays(pictures, tensors.FromFlatDataAndDimensions(part, len(shown), h, w), true)
		if err != nil {
			return g, err
		}
		g.Rows = append(g.Rows, display.Tiles(pictures), display.Tiles(overlays))
		g.Labels = append(g.Labels, fmt.Sprintf("cluster %d\n%d images", cluster, len(members)), a.settings.Method.Name())
	}
	return g, nil
}

// Eigenvalues plots the low end of the spectrum: as many values before a gap as there are strategies.
func (a *Analysis) Eigenvalues() display.Lines {
	s := display.Series{Name: a.ClassName}
	for i, v := range a.Spectrum.Values {
		s.X, s.Y = append(s.X, float64(i+1)), append(s.Y, v)
	}
	return display.Lines{Title: fmt.Sprintf("spectrum of %s", a.ClassName), X: "number", Y: "eigenvalue", Series: []display.Series{s}}
}

// Layout puts heatmaps in the plane.
type Layout interface {
	Embed(points *tensors.Tensor) (*manifold.Embedding, error)
}

// Map shows the heatmaps in the plane by t-SNE or UMAP, coloured by cluster.
func (a *Analysis) Map(layout Layout) (display.Scatter, error) {
	e, err := layout.Embed(a.Reduced)
	if err != nil {
		return display.Scatter{}, err
	}
	s := display.Scatter{Title: a.ClassName, Groups: a.Clusters}
	for i := range a.Clusters {
		s.Xs, s.Ys = append(s.Xs, e.Points.At(i, 0)), append(s.Ys, e.Points.At(i, 1))
	}
	for c := range a.Count() {
		s.Names = append(s.Names, fmt.Sprintf("cluster %d", c))
	}
	return s, nil
}
