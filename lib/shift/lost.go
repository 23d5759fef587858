package shift

import "fmt"

// Lost are the percentage points that each model is less accurate by under y than under x, below 0 where it is more
// accurate: of the models that keep chooses (nil keeps all) and that have been tried under both, in the order of
// [Results.Models]. It is an error where there are none.
func (r *Results) Lost(x, y string, keep func(model string) bool) (points []float64, err error) {
	pairs, _, err := r.Pairs(x, y, keep)
	if err != nil {
		return nil, err
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("shift: no model has been tried under both %s and %s", x, y)
	}
	for _, p := range pairs {
		points = append(points, 100*(p.X-p.Y))
	}
	return points, nil
}
