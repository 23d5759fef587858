package priors

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
)

// tints are the colours of ten classes, which sum to 3 each.
var tints = [10][3]float32{{2, 1, 0}, {1, 2, 0}, {1.5, 1.5, 0}, {0, 2, 1}, {0, 1, 2}, {0, 1.5, 1.5}, {1, 0, 2},
	{2, 0, 1}, {1.5, 0, 1.5}, {1, 1, 1}}

// Tinted are images, [N, H, W, 3] float32 in 0..1, each with the colour of its label over it, x + colour/3 cut off at 1
// where a colour sums to 1: a feature that tells the classes of the labelled images apart and is spurious, since other
// images do not have it. There are colours for labels from 0 to 9. The paper, whose program has these
// colours.
func Tinted(images *tensors.Tensor, labels []int) (*tensors.Tensor, error) {
	if images == nil || images.CheckValid() != nil || images.Rank() != 4 || images.Shape().Dimensions[3] != 3 {
		return nil, fmt.Errorf("priors: a tint is for images of three channels, [N, H, W, 3]")
	}
	d := images.Shape().Dimensions
	if len(labels) != d[0] {
		return nil, fmt.Errorf("priors: %d labels for %d images", len(labels), d[0])
	}
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("priors: images are float32 in 0..1: %w", err)
	}
	for i, label := range labels {
		if label < 0 || label >= len(tints) {
			return nil, fmt.Errorf("priors: image %d has the label %d: there are tints for the labels 0 to %d", i, label,
				len(tints)-1)
		}
		of := flat[i*d[1]*d[2]*3 : (i+1)*d[1]*d[2]*3]
		for at := range of {
			of[at] = min(max(of[at]+tints[label][at%3]/9, 0), 1)
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, d...), nil
}
