package issues

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/neighbors"
)

// neighbors are the marks of what features tell.
func (l looked) neighbors(o Options) (map[Kind]*marks, error) {
	n := len(l.seen)
	if n < 2 {
		return nil, fmt.Errorf("issues: features tell a picture from others, and there is one picture: leave Model out")
	}
	features := tensors.FromFlatDataAndDimensions(l.features, n, len(l.features)/n)
	nearest, err := neighbors.Nearest("issues: comparing features", features, features, min(o.Neighbors, n-1), true)
	if err != nil {
		return nil, err
	}
	return map[Kind]*marks{Outlier: outliers(nearest, o.Thresholds[Outlier]),
		NearDuplicatesByFeatures: nearDuplicates(nearest, o.Thresholds[NearDuplicatesByFeatures])}, nil
}

// outliers marks pictures by their mean distance from their nearest.
func outliers(nearest [][]neighbors.Neighbor, threshold float64) *marks {
	const epsilon = 0x1p-52
	means := make([]float64, len(nearest))
	for i, of := range nearest {
		for _, other := range of {
			means[i] += other.Cosine / float64(len(of))
		}
	}
	q1, median, q3 := percentile(means, 25), percentile(means, 50), percentile(means, 75)
	limit := q3 + (1/threshold-1)*(q3-q1)
	m := &marks{scores: make([]float64, len(means)), is: make([]bool, len(means))}
	for i, mean := range means {
		m.scores[i], m.is[i] = math.Exp(-mean/max(median, 100*epsilon)), mean > limit
		if mean < 50*epsilon { // nothing but rounding
			m.scores[i] = 1
		}
	}
	return m
}

// nearDuplicates marks pictures that are much nearer to each other than pictures are to their nearest.
func nearDuplicates(nearest [][]neighbors.Neighbor, threshold float64) *marks {
	distances := make([]float64, len(nearest))
	for i, of := range nearest {
		distances[i] = of[0].Cosine
	}
	median := max(percentile(distances, 50), 1e-6)
	m := &marks{scores: make([]float64, len(nearest)), is: make([]bool, len(nearest))}
	first := make([]int, len(nearest)) // a picture of the same set that comes before, or itself
	for i := range first {
		first[i] = i
	}
	root := func(i int) int {
		for first[i] != i {
			i = first[i]
		}
		return i
	}
	for i, of := range nearest {
		if m.scores[i] = 1 - math.Exp(-distances[i]/median); distances[i] <= 1e-8 {
			m.scores[i] = 0
		}
		for _, other := range of {
			if other.Cosine < threshold*median {
				m.is[i], m.is[other.Index] = true, true
				a, b := root(i), root(other.Index)
				first[max(a, b)] = min(a, b)
			}
		}
	}
	sets := groups(len(nearest), root)
	m.sets = slices.DeleteFunc(sets, func(set []int) bool { return set == nil })
	return m
}
