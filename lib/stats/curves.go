package stats

import "fmt"

// CurvePoint is what a threshold makes of scores: all things that score so much or more are taken for positives.
type CurvePoint struct {
	Threshold float64 `display:"threshold"`
	// Recall is the share of the positives that are taken, the true-positive rate.
	Recall float64 `display:"recall,percent"`
	// FalsePositives is the share of the negatives that are taken.
	FalsePositives float64 `display:"false positives,percent"`
	// Precision is the share of positives among those that are taken.
	Precision float64 `display:"precision,percent"`
}

// Curve are the points at all distinct scores, from the highest down to the lowest, at which everything is taken:
// those of the receiver operating characteristic and of the precision-recall curve. The first of these also has the
// point (0, 0), at which nothing is taken. It is an error where either is empty or a score is no number.
func Curve(positive, negative []float64) ([]CurvePoint, error) {
	all, err := scored(positive, negative)
	if err != nil {
		return nil, err
	}
	var points []CurvePoint
	found, wrong := 0, 0
	for i := len(all); i > 0; {
		score := all[i-1].score
		for ; i > 0 && all[i-1].score == score; i-- {
			if all[i-1].positive {
				found++
			} else {
				wrong++
			}
		}
		points = append(points, CurvePoint{
			Threshold: score, Recall: float64(found) / float64(len(positive)),
			FalsePositives: float64(wrong) / float64(len(negative)),
			Precision:      float64(found) / float64(found+wrong),
		})
	}
	return points, nil
}

func (p CurvePoint) String() string {
	return fmt.Sprintf("from %.3g on: recall %.1f%%, false positives %.1f%%, precision %.1f%%", p.Threshold, 100*p.Recall,
		100*p.FalsePositives, 100*p.Precision)
}
