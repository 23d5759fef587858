package claim

import (
	"fmt"

	"github.com/loupeml/loupe/lib/stats"
)

// Correlation claims Pearson's r of two values that were measured on the same units, such as on models, in the same
// order, with Fisher's interval ([stats.Pearson]). It takes four units or more.
func Correlation(name, unit string, seeds int, x, y []float64) (Claim, error) {
	r, interval, err := stats.Pearson(x, y, alpha)
	if err != nil {
		return Claim{}, fmt.Errorf("claim: %s: %w", name, err)
	}
	c := Claim{Name: name, Value: r, Low: interval.Low, High: interval.High, Unit: unit, N: len(x), Seeds: seeds}
	return c, c.check()
}
