package parts

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// seenKey is what the program of [Segment] is kept under.
type seenKey struct{}

// Segment returns the parts that a model sees in images, [N, H, W, C] float32 in 0..1: masks [N, H, W] int32 of the
// likeliest part of each pixel. Interrupted, it returns the error alone.
func Segment(m *model.Model, images *tensors.Tensor) (*tensors.Tensor, error) {
	if m == nil || !segments(m) {
		return nil, fmt.Errorf("parts: the model says nothing of pixels: it is no part model")
	}
	masks, err := m.Map("parts", seenKey{}, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ArgMax(scoresOf(m.Call(in[0])), -1)}
	}, images)
	if err != nil {
		return nil, err
	}
	return masks[0], nil
}

// PixelAccuracy is the share of the pixels of parts, in masks [N, H, W] int32, whose part was seen. The background does
// not count, as most is background.
func PixelAccuracy(seen, masks *tensors.Tensor) (stats.Accuracy, error) {
	var a stats.Accuracy
	if seen == nil || masks == nil || !seen.Shape().Equal(masks.Shape()) {
		return a, fmt.Errorf("parts: what is seen is compared with masks of its shape")
	}
	saw, err := tensors.CopyFlatData[int32](seen)
	if err != nil {
		return a, fmt.Errorf("parts: masks are int32: %w", err)
	}
	is, err := tensors.CopyFlatData[int32](masks)
	if err != nil {
		return a, fmt.Errorf("parts: masks are int32: %w", err)
	}
	for i, part := range is {
		if part > 0 {
			if a.Total++; saw[i] == part {
				a.Correct++
			}
		}
	}
	if a.Total == 0 {
		return a, fmt.Errorf("parts: no pixel belongs to a part")
	}
	return a, nil
}

// SegmentationGrid shows the first images and the parts that a model sees in them, as they are and under an attack;
// images and attacked are [N, H, W, C] float32 in 0..1. parts is how many there are.
func SegmentationGrid(m *model.Model, images, attacked *tensors.Tensor, parts int) (display.Grid, error) {
	var all []*tensors.Tensor
	for _, of := range []*tensors.Tensor{images, attacked} {
		seen, err := Segment(m, of)
		if err != nil {
			return display.Grid{}, err
		}
		coloured, err := Coloured(of, seen, parts)
		if err != nil {
			return display.Grid{}, err
		}
		all = append(all, of, coloured)
	}
	return rowsOf([]string{"images", "parts seen", "under attack", "parts seen"}, all...)
}

// rowsOf are the first ten of each, in a row.
func rowsOf(labels []string, of ...*tensors.Tensor) (display.Grid, error) {
	const most = 10
	grid := display.Grid{Labels: labels}
	for _, images := range of {
		some := min(most, images.Shape().Dimensions[0])
		first, err := rows.Take(images, 0, some, some)
		if err != nil {
			return grid, fmt.Errorf("parts: %w", err)
		}
		grid.Rows = append(grid.Rows, slices.Concat(display.Gallery(first).Rows...))
	}
	return grid, nil
}

// Coloured are images for people, [N, H, W, 3]: masks over images, a hue for each two parts that follow each other, of
// which the second is darker, and what is background, or unlabelled, as it is. parts is how many there are.
func Coloured(images, masks *tensors.Tensor, parts int) (*tensors.Tensor, error) {
	part, err := masksOf(images, masks)
	if err != nil {
		return nil, err
	}
	if parts < 1 {
		return nil, fmt.Errorf("parts: colours for %d parts", parts)
	}
	pixels, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	d := images.Shape().Dimensions
	out := make([]float32, 0, 3*len(part))
	for i, p := range part {
		if int(p) > parts {
			return nil, fmt.Errorf("parts: a mask has the part %d of %d", p, parts)
		}
		pixel := pixels[i*d[3] : (i+1)*d[3]]
		var hue color.RGBA
		if p > 0 {
			hue = colourOf(int(p), parts)
		}
		for c, tint := range []uint8{hue.R, hue.G, hue.B} {
			v := pixel[min(c, d[3]-1)]
			if p > 0 {
				v = 0.3*v + 0.7*float32(tint)/255
			}
			out = append(out, v)
		}
	}
	return tensors.FromFlatDataAndDimensions(out, d[0], d[1], d[2], 3), nil
}

// colourOf is a part's colour: hues go round once, and every second part is darker.
func colourOf(part, parts int) color.RGBA {
	pairs := (parts + 1) / 2
	h := 6 * float64((part-1)/2) / float64(pairs)
	bright := 255.0
	if part%2 == 0 {
		bright = 140
	}
	channel := func(at float64) uint8 {
		off := math.Abs(math.Mod(h-at+9, 6) - 3) // how far the hue is from this colour, 0 to 3
		return uint8(bright * min(max(2-off, 0), 1))
	}
	return color.RGBA{channel(0), channel(2), channel(4), 255}
}
