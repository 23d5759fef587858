package uncertainty

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/stats"
)

// SelectiveAccuracy is what is left of the images when a model may refuse those that it is not sure of.
type SelectiveAccuracy struct {
	Threshold float64 `display:"confidence from,percent"`
	// Accuracy is that among them; its Total is their number, which may be 0.
	Accuracy stats.Accuracy `display:"accuracy"`
}

// AccuracyAtConfidence is, for each threshold from 0 to 1, how many images the model is at least so sure of, and how
// many of these are right. Ovadia et al., section 3 and figure 1.
func (p *Predictions) AccuracyAtConfidence(thresholds ...float64) ([]SelectiveAccuracy, error) {
	if len(thresholds) == 0 {
		return nil, fmt.Errorf("uncertainty: accuracy at which confidence? Give thresholds from 0 to 1")
	}
	kept := make([]SelectiveAccuracy, len(thresholds))
	for t, threshold := range thresholds {
		if !(threshold >= 0 && threshold <= 1) {
			return nil, fmt.Errorf("uncertainty: the threshold %v does not lie between 0 and 1", threshold)
		}
		k := SelectiveAccuracy{Threshold: threshold}
		for i, c := range p.confidence {
			if c >= threshold {
				k.Accuracy.Total++
				k.Accuracy.Correct += int(p.right(i))
			}
		}
		kept[t] = k
	}
	return kept, nil
}

// AURRA is the area under the response rate accuracy curve: the accuracy among the n images of the highest confidence,
// averaged over all n from 1 to N. 1 is a model that is always right, and of two equally accurate ones the one that
// knows better when it is wrong has more. Images of equal confidence count with their mean accuracy, as if in random
// order. Hendrycks et al., "Natural Adversarial Examples", CVPR 2021, section 4.
func (p *Predictions) AURRA() float64 {
	order := make([]int, p.n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Compare(p.confidence[j], p.confidence[i])
	})
	sum, right, answered := 0.0, 0.0, 0.0
	for lo := 0; lo < p.n; {
		hi, among := lo, 0.0
		for ; hi < p.n && p.confidence[order[hi]] == p.confidence[order[lo]]; hi++ {
			among += p.right(order[hi])
		}
		share := among / float64(hi-lo)
		for range hi - lo {
			right += share
			answered++
			sum += right / answered
		}
		lo = hi
	}
	return sum / float64(p.n)
}

// SoftF1 is the F1 score of finding wrong predictions by low confidence, where a prediction counts as found wrong by as
// much as confidence lacks to 1:
//
//	2 Σ (1-c)·wrong / Σ (1-c + wrong)
//
// 1 is best; NaN where all are right with confidence 1. Hendrycks et al., "Natural Adversarial Examples", released
// code.
func (p *Predictions) SoftF1() float64 {
	found, all := 0.0, 0.0
	for i, c := range p.confidence {
		wrong := 1 - p.right(i)
		found += 2 * (1 - c) * wrong
		all += 1 - c + wrong
	}
	return found / all
}
