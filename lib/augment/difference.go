package augment

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
)

// Difference is how far images are from others, such as those that an [Autoencoder] gives back from those that it got:
// for each of N the root of the mean square difference of its values. Both are [N, H, W, C] float32, and the unit is
// theirs: of values in 0..1 it is in 0..1.
func Difference(a, b *tensors.Tensor) ([]float64, error) {
	if a == nil || b == nil {
		return nil, fmt.Errorf("augment: no difference of images that are not there: they are nil")
	}
	if !slices.Equal(a.Shape().Dimensions, b.Shape().Dimensions) || a.Rank() < 2 || a.Size() == 0 {
		return nil, fmt.Errorf("augment: no difference of %s and %s: they are to be as many images of one size",
			a.Shape(), b.Shape())
	}
	first, err := tensors.CopyFlatData[float32](a)
	if err != nil {
		return nil, fmt.Errorf("augment: %w", err)
	}
	second, err := tensors.CopyFlatData[float32](b)
	if err != nil {
		return nil, fmt.Errorf("augment: %w", err)
	}
	roots := make([]float64, a.Shape().Dimensions[0])
	each := len(first) / len(roots)
	for i := range roots {
		var sum float64
		for k := i * each; k < (i+1)*each; k++ {
			d := float64(first[k]) - float64(second[k])
			sum += d * d
		}
		roots[i] = math.Sqrt(sum / float64(each))
	}
	return roots, nil
}
