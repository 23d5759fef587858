// Package manifold lays high-dimensional points out by who lies near whom: graphs of nearest neighbours, the spectrum
// of their Laplacian, t-SNE and UMAP.
//
// Points are a tensor [N, ...] float32, what follows the first axis being a point's coordinates: images, heatmaps,
// features. Distances are Euclidean. What takes long shows its progress and stops when the person interrupts it; the
// layouts then return what they have so far, with the error.
package manifold

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// coordinates copies points to the host, [n, d] row by row.
func coordinates(points *tensors.Tensor) (flat []float32, n, d int, err error) {
	if points == nil || points.Rank() < 2 {
		return nil, 0, 0, fmt.Errorf("manifold: points are a tensor [N, ...] of rank 2 or more")
	}
	if points.DType() != dtypes.Float32 {
		return nil, 0, 0, fmt.Errorf("manifold: points are float32, not %s", points.DType())
	}
	n = points.Shape().Dimensions[0]
	if n < 2 || points.Shape().Size() == 0 {
		return nil, 0, 0, fmt.Errorf("manifold: it takes two points at least, and the shape is %v", points.Shape().Dimensions)
	}
	if flat, err = tensors.CopyFlatData[float32](points); err != nil {
		return nil, 0, 0, fmt.Errorf("manifold: %w", err)
	}
	d = len(flat) / n
	for i, v := range flat {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, 0, 0, fmt.Errorf("manifold: coordinate %d of point %d is %v", i%d, i/d, v)
		}
	}
	return flat, n, d, nil
}
