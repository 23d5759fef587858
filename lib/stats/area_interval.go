package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// DeLong is the interval of [AUROC] at confidence level 1-alpha, normal and cut to 0..1:
//
//	A ± z(1-alpha/2) √(S₊/p + S₋/n)
//
// S₊ is the variance, with p-1, of the shares of negatives that each of the p positives is above, a tie counting one
// half, and S₋ that of the shares of positives that each of the n negatives is below. DeLong, DeLong and
// Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating characteristic curves: a
// nonparametric approach", Biometrics 44 (1988); its sums are found by ranks, as by Sun and Xu, IEEE Signal Processing
// Letters 21 (2014).
//
// It is an error where it is not defined: of fewer than two positives or negatives, and where all positives are above
// all negatives or all below, since such scores do not vary and would seem to be known exactly. It has the errors of
// [AUROC] too.
func DeLong(positive, negative []float64, alpha float64) (Interval, error) {
	if !(alpha > 0 && alpha < 1) {
		return Interval{}, fmt.Errorf("stats: alpha is %v, it lies between 0 and 1 (0.05 gives a 95%% interval)", alpha)
	}
	all, err := scored(positive, negative)
	if err != nil {
		return Interval{}, err
	}
	p, n := float64(len(positive)), float64(len(negative))
	if p < 2 || n < 2 {
		return Interval{}, fmt.Errorf("stats: no interval of an area under the ROC curve of %d positives and %d negatives: it takes two of each",
			len(positive), len(negative))
	}
	above, below := make([]float64, 0, len(positive)), make([]float64, 0, len(negative))
	positivesBefore, negativesBefore := 0.0, 0.0
	for i := 0; i < len(all); {
		j, positives := i, 0.0
		for ; j < len(all) && all[j].score == all[i].score; j++ {
			if all[j].positive {
				positives++
			}
		}
		negatives := float64(j-i) - positives
		for ; i < j; i++ {
			if all[i].positive {
				above = append(above, (negativesBefore+negatives/2)/n)
			} else {
				below = append(below, 1-(positivesBefore+positives/2)/p)
			}
		}
		positivesBefore, negativesBefore = positivesBefore+positives, negativesBefore+negatives
	}
	variance := stat.Variance(above, nil)/p + stat.Variance(below, nil)/n
	area := stat.Mean(above, nil)
	if area == 0 || area == 1 {
		return Interval{}, fmt.Errorf("stats: no interval of an area under the ROC curve of %v: no score is out of place", area)
	}
	half := distuv.UnitNormal.Quantile(1-alpha/2) * math.Sqrt(variance)
	return Interval{max(area-half, 0), min(area+half, 1)}, nil
}

// AveragePrecisionInterval is the interval of an [AveragePrecision] of so many positives at confidence level 1-alpha,
// normal on the scale of logits:
//
//	1/(1 + exp(-(η ± z(1-alpha/2) τ))), η = log(A/(1-A)), τ = 1/√(p A (1-A))
//
// Boyd, Eng and Page, "Area under the Precision-Recall Curve: Point Estimates and Confidence Intervals", ECML PKDD
// 2013, whose logit interval this is, one of the two that they recommend. It is an error of no positives, where alpha
// does not lie between 0 and 1, and of an area of 0 or 1 or beyond, whose logit is no number.
func AveragePrecisionInterval(area float64, positives int, alpha float64) (Interval, error) {
	switch {
	case !(alpha > 0 && alpha < 1):
		return Interval{}, fmt.Errorf("stats: alpha is %v, it lies between 0 and 1 (0.05 gives a 95%% interval)", alpha)
	case positives < 1:
		return Interval{}, fmt.Errorf("stats: no interval of an average precision of %d positives: it takes one at least", positives)
	case !(area > 0 && area < 1):
		return Interval{}, fmt.Errorf("stats: no interval of an average precision of %v: it takes one between 0 and 1", area)
	}
	logit := math.Log(area / (1 - area))
	half := distuv.UnitNormal.Quantile(1-alpha/2) / math.Sqrt(float64(positives)*area*(1-area))
	return Interval{1 / (1 + math.Exp(half-logit)), 1 / (1 + math.Exp(-half-logit))}, nil
}
