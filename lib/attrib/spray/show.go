package spray

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/manifold"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Sheet shows the clusters: of each the k most typical images, and below them their heatmaps. ds is the dataset that
// was analysed.
func (a *Analysis) Sheet(ds model.Dataset, k int) (display.Grid, error) {
	g := display.Grid{Title: a.ClassName, Bar: display.SignedBar}
	if k < 1 {
		return g, fmt.Errorf("spray: a sheet shows 1 image of each cluster or more, not %d", k)
	}
	for cluster := range a.Count() {
		members := a.Members(cluster)
		shown := members[:min(k, len(members))]
		var at []int
		for _, i := range shown {
			if a.Images[i] >= ds.Len() {
				return g, fmt.Errorf("spray: image %d was analysed, and the dataset has %d: give the one that was analysed",
					a.Images[i], ds.Len())
			}
			at = append(at, a.Images[i])
		}
		images, err := ds.Images(at...)
		if err != nil {
			return g, err
		}
		pictures, err := display.Images(images)
		if err != nil {
			return g, err
		}
		heat, err := a.HeatmapsOf(shown...)
		if err != nil {
			return g, err
		}
		overlays, err := display.Overlays(pictures, heat, true)
		if err != nil {
			return g, err
		}
		g.Rows = append(g.Rows, display.Tiles(pictures), display.Tiles(overlays))
		g.Labels = append(g.Labels, fmt.Sprintf("cluster %d\n%s", cluster, plural.Of(len(members), "image")),
			a.settings.Method.Name())
	}
	return g, nil
}

// HeatmapsOf are the heatmaps of images by their places among those that were analysed, [k, H, W] float32.
func (a *Analysis) HeatmapsOf(places ...int) (*tensors.Tensor, error) {
	if len(places) == 0 {
		return nil, fmt.Errorf("spray: heatmaps of no images: give the places of some")
	}
	d := a.Heatmaps.Shape().Dimensions
	size := d[1] * d[2]
	for _, i := range places {
		if i < 0 || i >= d[0] {
			return nil, fmt.Errorf("spray: there is no heatmap %d: they are 0 to %d", i, d[0]-1)
		}
	}
	var part []float32
	if err := tensors.ConstFlatData(a.Heatmaps, func(heat []float32) {
		for _, i := range places {
			part = append(part, heat[i*size:(i+1)*size]...)
		}
	}); err != nil {
		return nil, fmt.Errorf("spray: %w", err)
	}
	return tensors.FromFlatDataAndDimensions(part, len(places), d[1], d[2]), nil
}

// Eigenvalues plots the low end of the spectrum: as many values before a gap as there are strategies.
func (a *Analysis) Eigenvalues() display.Lines {
	s := display.Series{Name: a.ClassName}
	for i, v := range a.Spectrum.Values {
		s.X, s.Y = append(s.X, float64(i+1)), append(s.Y, v)
	}
	return display.Lines{Title: fmt.Sprintf("spectrum of %s", a.ClassName), X: "number", Y: "eigenvalue",
		Series: []display.Series{s}}
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

// Table has a row for each image: its number in the dataset, its file where the dataset has names, its class and its
// cluster.
func (a *Analysis) Table() table.Table {
	t := table.Table{Title: a.ClassName, Header: []string{"index"}}
	if a.files != nil {
		t.Header = append(t.Header, "file")
	}
	t.Header = append(t.Header, "class", "cluster")
	for i, cluster := range a.Clusters {
		row := []any{i}
		if a.Images != nil {
			row[0] = a.Images[i]
		}
		if a.files != nil {
			row = append(row, a.files[i])
		}
		t.Add(append(row, a.ClassName, cluster)...)
	}
	return t
}

// Arrays are the images' numbers in the dataset and their clusters, [N] int64, their heatmaps, [N, H, W] float32, and
// where groups stand apart, which images belong to each, [groups, N] bool, and its conductance, [groups] float64.
func (a *Analysis) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if a == nil || len(a.Images) == 0 || len(a.Clusters) != len(a.Images) || a.Heatmaps == nil {
		return nil, nil, fmt.Errorf("spray: there is no analysis: SpRAy makes one")
	}
	arrays := map[string]*tensors.Tensor{"images": tensors.FromValue(a.Images), "clusters": tensors.FromValue(a.Clusters),
		"heatmaps": a.Heatmaps}
	if len(a.Strategies) > 0 {
		var members []bool
		var conductance []float64
		for _, s := range a.Strategies {
			members, conductance = append(members, s.Members...), append(conductance, s.Conductance)
		}
		arrays["groups"] = tensors.FromFlatDataAndDimensions(members, len(a.Strategies), len(a.Images))
		arrays["conductance"] = tensors.FromFlatDataAndDimensions(conductance, len(conductance))
	}
	return arrays, map[string]string{"class": fmt.Sprint(a.Class), "name": a.ClassName}, nil
}

// Bundle shows the clusters' sizes, the groups that stand apart, and the eigenvalues, whose gap says how many there
// are.
func (a *Analysis) Bundle() mime.Bundle {
	clusters := table.Table{Title: fmt.Sprintf("%s: %s", a.ClassName, plural.Of(len(a.Clusters), "heatmap")),
		Header: []string{"cluster", "images", "share"}}
	for c := range a.Count() {
		n := len(a.Members(c))
		clusters.Add(c, n, table.Bar(float64(n)/float64(len(a.Clusters))))
	}
	bundles := []mime.Bundle{clusters.Bundle()}
	if len(a.Strategies) > 0 {
		apart := table.Table{Title: "groups that stand apart", Header: []string{"images", "ties that lead out of it"}}
		for _, s := range a.Strategies {
			apart.Add(s.Size(), table.Percent(s.Conductance))
		}
		bundles = append(bundles, apart.Bundle())
	}
	return display.Stack(append(bundles, a.Eigenvalues().Bundle())...)
}

// Plot shows the eigenvalues.
func (a *Analysis) Plot() display.Lines { return a.Eigenvalues() }

func (s Strategy) String() string {
	return fmt.Sprintf("%s, %.1f%% of whose ties lead out of the group", plural.Of(s.Size(), "image"), 100*s.Conductance)
}
