package claim

import (
	"fmt"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// OverSeeds measures a value for each of a number of seeds, 1, 2, …, such as the accuracy of a network that is trained
// with it, and claims their mean with Student's interval over them: see [Mean]. It takes two seeds or more; five say
// something.
//
// Interrupted, it returns the claim over the seeds that are done beside the error, if they are two at least.
func OverSeeds(name string, seeds int, measure func(seed uint64) (float64, error)) (Claim, error) {
	if seeds < 2 {
		return Claim{}, fmt.Errorf("claim: %s: an interval over seeds takes two at least, not %d", name, seeds)
	}
	if measure == nil {
		return Claim{}, fmt.Errorf("claim: %s: there is nothing to measure: the function is nil", name)
	}
	bar := progress.New(name+": seeds", seeds)
	defer bar.Close()
	var values []float64
	for len(values) < seeds {
		err := interrupt.Err()
		var v float64
		if err == nil {
			v, err = measure(uint64(len(values) + 1))
		}
		if interrupt.Is(err) {
			err = interrupt.After(err, "claim: "+name, len(values), seeds, "seeds")
			if len(values) < 2 {
				return Claim{}, err
			}
			part, failed := Mean(name, "seeds", len(values), values)
			if failed != nil {
				return Claim{}, failed
			}
			return part, err
		}
		if err != nil {
			return Claim{}, fmt.Errorf("claim: %s: seed %d: %w", name, len(values)+1, err)
		}
		values = append(values, v)
		bar.Add(1)
	}
	return Mean(name, "seeds", seeds, values)
}
