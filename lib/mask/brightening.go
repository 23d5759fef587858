package mask

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
)

// Brightening is, for each of some images, by how many grey levels, in -1..1, a box has become brighter than the rest
// of the image: the mean change inside less the mean change outside. before and after are [N, H, W, C] float32 in
// 0..1, the same images before and after a change, such as an attack. It is an error where the box is empty, is the
// whole image or does not lie in it.
func Brightening(before, after *tensors.Tensor, box Box) ([]float64, error) {
	if before == nil || after == nil || before.Rank() != 4 || !before.Shape().Equal(after.Shape()) {
		return nil, fmt.Errorf("mask: images before and after a change have one shape [N, H, W, C], and these have not")
	}
	d := before.Shape().Dimensions
	n, height, width, channels := d[0], d[1], d[2], d[3]
	if !box.within(height, width) || box.Height == height && box.Width == width {
		return nil, fmt.Errorf("mask: a box of %d x %d pixels at row %d, column %d is no part of images of %d x %d",
			box.Height, box.Width, box.Row, box.Column, height, width)
	}
	from, err := tensors.CopyFlatData[float32](before)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	to, err := tensors.CopyFlatData[float32](after)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	inside := float64(box.Height * box.Width * channels)
	outside := float64(height*width*channels) - inside
	gains := make([]float64, n)
	for i, v := range to {
		change := float64(v - from[i])
		if change-change != 0 {
			return nil, fmt.Errorf("mask: image %d changes by %v in a pixel", i/(height*width*channels), change)
		}
		row, column := i/channels/width%height, i/channels%width
		if row >= box.Row && row < box.Row+box.Height && column >= box.Column && column < box.Column+box.Width {
			gains[i/(height*width*channels)] += change / inside
		} else {
			gains[i/(height*width*channels)] -= change / outside
		}
	}
	return gains, nil
}
