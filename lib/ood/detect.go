package ood

import (
	"fmt"
	"math"

	"github.com/loupeml/loupe/lib/stats"
)

// Detection is how well scores tell unknown things from known ones; the unknown are the positives.
type Detection struct {
	// AUROC is the area under the ROC curve, whatever the share of unknown ones; chance is 0.5.
	AUROC float64 `display:"AUROC,percent"`
	// AUPR is the average precision. It depends on the share of unknown ones, Prevalence, which is also what chance
	// gives.
	AUPR       float64 `display:"AUPR,percent"`
	Prevalence float64 `display:"prevalence,percent"`
	// FPR95 is the share of known ones that are taken for unknown at the threshold that finds 95% of the unknown.
	FPR95 float64 `display:"FPR95,percent"`
	// FPR95Nearest is that at the threshold whose recall is nearest to 95%, as in the released code of Hendrycks et al.
	FPR95Nearest float64 `display:"FPR at the recall nearest to 95%,percent"`
	Unknown      int     `display:"unknown"` // how many there are
	Known        int     `display:"known"`
}

// Detect compares the scores of unknown things with those of known ones.
func Detect(unknown, known []float64) (Detection, error) {
	d := Detection{Unknown: len(unknown), Known: len(known)}
	if len(unknown) == 0 || len(known) == 0 {
		return d, fmt.Errorf("ood: %d unknown and %d known: there has to be one of each", len(unknown), len(known))
	}
	d.Prevalence = float64(len(unknown)) / float64(len(unknown)+len(known))
	var err error
	if d.AUROC, err = stats.AUROC(unknown, known); err != nil {
		return d, err
	}
	if d.AUPR, err = stats.AveragePrecision(unknown, known); err != nil {
		return d, err
	}
	if d.FPR95, err = stats.FalsePositiveRate(unknown, known, 0.95); err != nil {
		return d, err
	}
	d.FPR95Nearest, err = stats.FalsePositiveRateNearest(unknown, known, 0.95)
	return d, err
}

// AUROCInterval is the bootstrap interval of AUROC at 95%, over the unknown and the known things, in 1,000 draws.
func AUROCInterval(unknown, known []float64, seed uint64) (stats.Interval, error) {
	u := len(unknown)
	var positive, negative []float64
	return stats.Bootstrap(u+len(known), 1000, 0.05, seed, func(sample []int) float64 {
		positive, negative = positive[:0], negative[:0]
		for _, i := range sample {
			if i < u {
				positive = append(positive, unknown[i])
			} else {
				negative = append(negative, known[i-u])
			}
		}
		area, err := stats.AUROC(positive, negative)
		if err != nil {
			return math.NaN() // one of the two was not drawn
		}
		return area
	})
}
