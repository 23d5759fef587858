package parts

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
)

// OnBackgrounds returns images whose background is that of others: what is 0 in the mask is taken from backgrounds, as
// in the mixed images of Xiao et al., "Noise or signal: the role of image backgrounds in object recognition", ICLR
// 2021, which the paper's test of spurious correlations is made of. images and backgrounds are [N, H, W, C] float32 in
// 0..1, masks [N, H, W] int32.
func OnBackgrounds(images, masks, backgrounds *tensors.Tensor) (*tensors.Tensor, error) {
	return composed(images, masks, backgrounds, func(pixel, other float32, part int32) float32 {
		if part == 0 {
			return other
		}
		return pixel
	})
}

// Filled returns images in which what the mask has of parts is filled with textures: its pixels are multiplied by those
// of the textures, so that shapes stay and what fills them is another's. The shapes are as in [OnBackgrounds].
func Filled(images, masks, textures *tensors.Tensor) (*tensors.Tensor, error) {
	return composed(images, masks, textures, func(pixel, other float32, part int32) float32 {
		if part > 0 {
			return pixel * other
		}
		return pixel
	})
}

func composed(images, masks, others *tensors.Tensor, of func(pixel, other float32, part int32) float32) (
	*tensors.Tensor, error) {
	part, err := masksOf(images, masks)
	if err != nil {
		return nil, err
	}
	if others == nil || !others.Shape().Equal(images.Shape()) {
		return nil, fmt.Errorf("parts: images and what they are composed with have one shape, [N, H, W, C]")
	}
	d := images.Shape().Dimensions
	pixels, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	other, err := tensors.CopyFlatData[float32](others)
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	for i, p := range part {
		if p < 0 {
			return nil, fmt.Errorf("parts: image %d has pixels that nobody has labelled: what is its background?", i/(d[1]*d[2]))
		}
	}
	for i := range pixels {
		pixels[i] = of(pixels[i], other[i], part[i/d[3]])
	}
	return tensors.FromFlatDataAndDimensions(pixels, d...), nil
}
