package parts

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
)

// Halves are masks of things on black, such as digits, that nobody has drawn parts of: of what is brighter than a
// level, in 0..1, in the mean of an image's channels, what lies above its centre of brightness is one part and what
// does not another. Parts belong to classes: those of class k are 2k+1, the upper one, and 2k+2; all else is the
// background, 0. images are [N, H, W, C] float32 in 0..1 with a label each; the masks are [N, H, W] int32.
func Halves(images *tensors.Tensor, labels []int, level float64) (*tensors.Tensor, error) {
	if images == nil || images.Rank() != 4 || images.Shape().Dimensions[0] != len(labels) {
		return nil, fmt.Errorf("parts: halves are of images, [N, H, W, C], with a label each, and there are %d labels",
			len(labels))
	}
	if !(level >= 0 && level < 1) {
		return nil, fmt.Errorf("parts: pixels brighter than %v: the level is from 0 to less than 1", level)
	}
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	d := images.Shape().Dimensions
	masks := make([]int32, 0, d[0]*d[1]*d[2])
	bright := make([]float64, d[1]*d[2])
	for i, label := range labels {
		if label < 0 {
			return nil, fmt.Errorf("parts: image %d has the label %d: whose parts are its halves?", i, label)
		}
		var sum, moment float64
		for p := range bright {
			bright[p] = 0
			for c := range d[3] {
				bright[p] += float64(flat[(i*len(bright)+p)*d[3]+c]) / float64(d[3])
			}
			sum, moment = sum+bright[p], moment+bright[p]*float64(p/d[2])
		}
		for p, b := range bright {
			switch {
			case !(b > level):
				masks = append(masks, 0)
			case float64(p/d[2])*sum < moment:
				masks = append(masks, int32(2*label+1))
			default:
				masks = append(masks, int32(2*label+2))
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(masks, d[0], d[1], d[2]), nil
}
