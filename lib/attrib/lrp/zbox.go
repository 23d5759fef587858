package lrp

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// ZBox is for a first layer that sees pixels, which lie between two bounds l and h:
//
//	R_i = Σ_j (x_i·w_ij - l·w_ij⁺ - h·w_ij⁻) / Σ_k (x_k·w_kj - l·w_kj⁺ - h·w_kj⁻) · R_j
//
// Montavon et al., Pattern Recognition 65 (2017), section 4.2 (the z-rule on a box).
type ZBox struct {
	// Low and High bound the pixels, in the units of images, 0..1; the layer sees them as the model normalises
	// them. Both 0 mean 0 and 1.
	Low, High float64
	// Stabilizer keeps the denominator from zero; 0 means 1e-6.
	Stabilizer float64
}

func (b ZBox) bounds() (low, high float64) {
	if b.Low == 0 && b.High == 0 {
		return 0, 1
	}
	return b.Low, b.High
}

func (b ZBox) check() error {
	if low, high := b.bounds(); !(low < high) {
		return fmt.Errorf("lrp: ZBox takes a Low below High, not %g and %g", low, high)
	}
	return nil
}

// Propagate implements [Rule].
func (b ZBox) Propagate(l *Layer, relevance *graph.Node) *graph.Node {
	if !l.First {
		panic(fmt.Errorf("lrp: ZBox is for the layer that sees the image, and %s does not: give it another rule", l))
	}
	lowest, highest := b.bounds()
	low, high := l.OfPixels(lowest), l.OfPixels(highest)
	// The biases of the three terms cancel out.
	z := l.Apply(l.In, unchanged)
	z = graph.Sub(graph.Sub(z, l.Apply(low, positive)), l.Apply(high, negative))
	return Contributions(z, share(relevance, z, b.Stabilizer), l.In, low, high)
}
