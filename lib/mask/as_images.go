package mask

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
)

// AsImages are masks, [N, H, W] float32, as grey images, [N, H, W, 1]: white where a mask is 1. A network that learns
// from them sees which places were chosen, and nothing of what is there.
func AsImages(masks *tensors.Tensor) (*tensors.Tensor, error) {
	if masks == nil {
		return nil, fmt.Errorf("mask: there are no masks: they are nil")
	}
	d := masks.Shape().Dimensions
	if len(d) != 3 {
		return nil, fmt.Errorf("mask: masks are [N, H, W], not %s", masks.Shape())
	}
	flat, err := tensors.CopyFlatData[float32](masks)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	return tensors.FromFlatDataAndDimensions(flat, d[0], d[1], d[2], 1), nil
}
