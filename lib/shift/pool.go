package shift

import (
	"fmt"

	"github.com/loupeml/loupe/lib/stats"
)

// Pool adds a condition that has the images of several together, such as of all corruptions: those whose name is tells.
// A model that has not been tried under one of them is left out; Pool returns how many models it added. It is an error
// where there are no such conditions, or no model has been tried under all.
func (r *Results) Pool(name string, is func(condition string) bool) (models int, err error) {
	if is == nil {
		return 0, fmt.Errorf("shift: %s: nothing says of which conditions: the function is nil", name)
	}
	var of []string
	for _, condition := range r.conditions {
		if condition != name && is(condition) {
			of = append(of, condition)
		}
	}
	for _, m := range r.models {
		sum, all := stats.Accuracy{}, len(of) > 0
		for _, condition := range of {
			c, tried := r.Cell(m, condition)
			all = all && tried
			sum = sum.Add(c.Accuracy)
		}
		if !all {
			continue
		}
		models++
		if err := r.Add(Cell{Model: m, Condition: name, Accuracy: sum}); err != nil {
			return 0, err
		}
	}
	if models == 0 {
		return 0, fmt.Errorf("shift: %s: no model has been tried under all of %d conditions", name, len(of))
	}
	return models, nil
}
