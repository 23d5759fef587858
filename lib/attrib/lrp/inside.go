package lrp

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// Inside says how far the heatmaps of [CRP.Heatmaps] lie inside a box of the images, such as a mark that was planted:
// image by image, and of each condition by condition. It is [mask.Inside] of the absolute values: a channel that sees
// the mark and speaks against the class lies on it too. Interrupted, it returns nil and the error.
func (c CRP) Inside(m *model.Model, images *tensors.Tensor, classes []int, box mask.Box,
	conditions ...Condition) (*mask.InsideBox, error) {
	heat, err := c.Heatmaps(m, images, classes, conditions...)
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](heat)
	if err != nil {
		return nil, fmt.Errorf("lrp: %w", err)
	}
	for i, v := range flat {
		flat[i] = max(v, -v)
	}
	d := heat.Shape().Dimensions
	return mask.Inside(tensors.FromFlatDataAndDimensions(flat, d[0]*d[1], d[2], d[3]), box)
}
