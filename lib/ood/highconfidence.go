package ood

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
)

// HighConfidence returns the numbers of those images, all of them unknown to a model, that it takes with high
// confidence for something it knows: whose highest probability is at least confidence. logits are [N, K] float32.
// ImageNet-O is made of such images, by a ResNet-50 from classes that ImageNet's 1,000 do not have, and then looked
// through by people (Hendrycks et al., "Natural Adversarial Examples", CVPR 2021, section 3). By construction
// [MaxSoftmax] finds hardly any of them; what another model's does is the question. The counterpart for known classes
// is package shift's Filter.
func HighConfidence(logits *tensors.Tensor, confidence float64) ([]int, error) {
	if !(confidence > 0 && confidence <= 1) {
		return nil, fmt.Errorf("ood: a confidence of %v: it lies between 0 and 1", confidence)
	}
	var kept []int
	n := 0
	err := each(logits, func(z, _ []float64) error {
		if highest(z) >= confidence {
			kept = append(kept, n)
		}
		n++
		return nil
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}
