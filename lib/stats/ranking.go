package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// AUROC is the area under the receiver operating characteristic: the probability that a positive has a higher score
// than a negative, a tie counting one half. 1 is perfect, 0.5 is chance. It is an error where either is empty or a
// score is no number.
func AUROC(positive, negative []float64) (float64, error) {
	all, err := scored(positive, negative)
	if err != nil {
		return 0, err
	}
	// The sum of the positives' ranks, those of ties averaged (Mann and Whitney).
	var sum float64
	for i := 0; i < len(all); {
		j, positives := i, 0
		for ; j < len(all) && all[j].score == all[i].score; j++ {
			if all[j].positive {
				positives++
			}
		}
		sum += float64(positives) * (float64(i+1) + float64(j)) / 2
		i = j
	}
	p, n := float64(len(positive)), float64(len(negative))
	return (sum - p*(p+1)/2) / (p * n), nil
}

// AveragePrecision is the precision at each threshold weighted by the recall that it adds,
//
//	Σ_t (R_t - R_{t-1}) P_t
//
// over the distinct scores from the highest down, without interpolation, as scikit-learn's average_precision_score. 1
// is perfect; chance is the share of positives. It is an error where either is empty or a score is no number.
func AveragePrecision(positive, negative []float64) (float64, error) {
	all, err := scored(positive, negative)
	if err != nil {
		return 0, err
	}
	var average, found float64
	for i := len(all); i > 0; {
		j, positives := i, 0
		for ; j > 0 && all[j-1].score == all[i-1].score; j-- {
			if all[j-1].positive {
				positives++
			}
		}
		found += float64(positives)
		average += float64(positives) / float64(len(positive)) * found / float64(len(all)-j)
		i = j
	}
	return average, nil
}

type scoredItem struct {
	score    float64
	positive bool
}

// scored returns all scores, lowest first.
func scored(positive, negative []float64) ([]scoredItem, error) {
	if len(positive) == 0 || len(negative) == 0 {
		return nil, fmt.Errorf("stats: %d positives and %d negatives cannot be told apart: there has to be one of each",
			len(positive), len(negative))
	}
	all := make([]scoredItem, 0, len(positive)+len(negative))
	for _, s := range positive {
		all = append(all, scoredItem{s, true})
	}
	for _, s := range negative {
		all = append(all, scoredItem{s, false})
	}
	for i, s := range all {
		if math.IsNaN(s.score) {
			return nil, fmt.Errorf("stats: score %d is not a number", i)
		}
	}
	slices.SortFunc(all, func(a, b scoredItem) int { return cmp.Compare(a.score, b.score) })
	return all, nil
}

// FalsePositiveRate is the share of negatives at or above the highest threshold that a share of positives, the recall,
// reaches: FPR95 at recall 0.95. 0 is perfect; chance is the recall. It is an error where either is empty, a score is
// no number, or the recall does not lie in 0..1.
func FalsePositiveRate(positive, negative []float64, recall float64) (float64, error) {
	points, err := roc(positive, negative, recall)
	if err != nil {
		return 0, err
	}
	at := slices.IndexFunc(points, func(p rocPoint) bool { return p.recall >= recall })
	return points[at].falsePositives, nil
}

// FalsePositiveRateNearest is [FalsePositiveRate] at the threshold whose recall comes nearest, be it lower or higher,
// the lowest of several as near: as in the released code of Hendrycks and others, which with few positives makes a
// difference.
func FalsePositiveRateNearest(positive, negative []float64, recall float64) (float64, error) {
	points, err := roc(positive, negative, recall)
	if err != nil {
		return 0, err
	}
	nearest := points[0]
	for _, p := range points {
		if math.Abs(p.recall-recall) <= math.Abs(nearest.recall-recall) {
			nearest = p
		}
	}
	return nearest.falsePositives, nil
}

// rocPoint is the shares of positives and of negatives at or above a threshold.
type rocPoint struct{ recall, falsePositives float64 }

// roc are the points at all scores from the highest down to the one that all positives reach.
func roc(positive, negative []float64, recall float64) ([]rocPoint, error) {
	if !(recall >= 0 && recall <= 1) {
		return nil, fmt.Errorf("stats: a recall of %v, it lies between 0 and 1", recall)
	}
	all, err := scored(positive, negative)
	if err != nil {
		return nil, err
	}
	var points []rocPoint
	found, wrong := 0, 0
	for i := len(all); found < len(positive); {
		score := all[i-1].score
		for ; i > 0 && all[i-1].score == score; i-- {
			if all[i-1].positive {
				found++
			} else {
				wrong++
			}
		}
		points = append(points, rocPoint{float64(found) / float64(len(positive)), float64(wrong) / float64(len(negative))})
	}
	return points, nil
}
