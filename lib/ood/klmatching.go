package ood

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
)

// KLMatching measures how far the probabilities of an image are from those that are typical of any class:
//
//	min_k KL(p || d_k), d_k the mean probabilities of known images that the model takes for class k
//
// An image whose probabilities are spread over several classes may still be typical, as when a class is often confused
// with others; that is what sets it apart from the highest probability. Hendrycks et al., ICML 2022, section 4.
type KLMatching struct {
	// typical[k] are the logarithms of d_k; nil where no image was taken for class k, which is then not compared with.
	typical [][]float64
}

// FitKLMatching finds the typical probabilities from logits, [N, K] float32, of known images that the model was not
// trained on. Their labels are not needed.
func FitKLMatching(logits *tensors.Tensor) (*KLMatching, error) {
	var sums [][]float64
	var counts []float64
	err := each(logits, func(z, log []float64) error {
		if sums == nil {
			sums, counts = make([][]float64, len(z)), make([]float64, len(z))
		}
		best := slices.Index(z, slices.Max(z))
		if sums[best] == nil {
			sums[best] = make([]float64, len(z))
		}
		counts[best]++
		for c, l := range log {
			sums[best][c] += math.Exp(l)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for k, sum := range sums {
		for c := range sum {
			sum[c] = math.Log(sum[c] / counts[k])
		}
	}
	return &KLMatching{sums}, nil
}

// Name is "KL matching".
func (m *KLMatching) Name() string { return "KL matching" }

// Typical are the probabilities that are typical of a class; nil if no image was taken for it.
func (m *KLMatching) Typical(class int) ([]float64, error) {
	if class < 0 || class >= len(m.typical) {
		return nil, fmt.Errorf("ood: class %d does not exist: KL matching was fitted for %d", class, len(m.typical))
	}
	if m.typical[class] == nil {
		return nil, nil
	}
	p := make([]float64, len(m.typical[class]))
	for c, l := range m.typical[class] {
		p[c] = math.Exp(l)
	}
	return p, nil
}

func (m *KLMatching) of(_, log []float64) float64 {
	least := math.Inf(1)
	for _, typical := range m.typical {
		if typical == nil {
			continue
		}
		divergence := 0.0
		for c, l := range log {
			if p := math.Exp(l); p > 0 {
				divergence += p * (l - typical[c])
			}
		}
		least = min(least, divergence)
	}
	return least
}
