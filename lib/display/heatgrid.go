package display

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// HeatGrid lays heatmaps, [..., H, W] float32, out in rows without their images, with titles in the same order: for
// results that keep no images. They are signed if any value is below zero. Of more than 40 it shows the first.
func HeatGrid(heatmaps *tensors.Tensor, titles ...string) (Grid, error) {
	if heatmaps == nil || heatmaps.Rank() < 2 || heatmaps.DType() != dtypes.Float32 || heatmaps.Size() == 0 {
		return Grid{}, fmt.Errorf("display: heatmaps have the shape [N, H, W] float32")
	}
	values, err := tensors.CopyFlatData[float32](heatmaps)
	if err != nil {
		return Grid{}, fmt.Errorf("display: %w", err)
	}
	d := heatmaps.Shape().Dimensions
	h, w := d[len(d)-2], d[len(d)-1]
	n := len(values) / (h * w)
	signed := slices.Min(values) < 0
	var maps []any
	for i := range min(n, mostTiles) {
		img, err := Heatmap(nil, values[i*h*w:(i+1)*h*w], h, w, signed)
		if err != nil {
			return Grid{}, err
		}
		maps = append(maps, img)
	}
	g := Gallery(maps, titles...)
	g.Bar = UnsignedBar
	if signed {
		g.Bar = SignedBar
	}
	if n > mostTiles {
		g.Title = fmt.Sprintf("the first %d of %d", mostTiles, n)
	}
	return g, g.err
}
