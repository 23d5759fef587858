package attrib

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
)

// KernelSHAP shares the difference of the logit from that of an image of which all is hidden out among segments of the
// image by their Shapley values, and each segment's evenly among its pixels, [N, H, W, 1]: see [missing.KernelSHAP].
// The values of an image sum to that difference but for a millionth of it; by how much they fail to is the
// Attribution's Delta.
type KernelSHAP struct {
	// Segments are those of the images, superpixels by [missing.SLIC] or others; nil means squares of Side.
	Segments *missing.Segments
	// Side is the side of the squares in pixels; 0 means a seventh of the image's height, rounded up.
	Side int
	// How segments are hidden; nil means by black.
	How missing.Approximation
	// Samples is how many masks are drawn; 0 means 1000.
	Samples int
	// Seed draws them.
	Seed uint64
	// Keep are masks of your own: see [missing.KernelSHAP].
	Keep *tensors.Tensor
}

// Name is "KernelSHAP".
func (KernelSHAP) Name() string { return "KernelSHAP" }

// Attribute implements [Method].
func (ks KernelSHAP) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	segments := ks.Segments
	if segments == nil {
		side := ks.Side
		if side == 0 {
			side = (d[1] + 6) / 7
		}
		if segments, err = missing.Patches(d[0], d[1], d[2], side); err != nil {
			return nil, err
		}
	}
	e, stopped := missing.KernelSHAP{How: ks.How, Masks: ks.Samples, Seed: ks.Seed, Keep: ks.Keep}.Explain(m, images,
		segments, classes...)
	if e == nil {
		return nil, stopped
	}
	labels, err := tensors.CopyFlatData[int32](segments.Labels)
	if err != nil {
		return nil, fmt.Errorf("attrib: %w", err)
	}
	done, size := e.Len(), d[1]*d[2]
	values := make([]float32, done*size)
	for i, of := range e.Coefficients {
		pixels := make([]int, len(of))
		for _, label := range labels[i*size : (i+1)*size] {
			pixels[label]++
		}
		for at, label := range labels[i*size : (i+1)*size] {
			values[i*size+at] = float32(of[label] / float64(pixels[label]))
		}
	}
	a := NewAttribution(ks, m, tensors.FromFlatDataAndDimensions(values, done, d[1], d[2], 1), classes)
	sums, err := a.Sums()
	if err != nil {
		return nil, err
	}
	for i, sum := range sums {
		a.Delta = append(a.Delta, sum-(e.Whole[i]-e.Nothing[i]))
	}
	return a, stopped
}
