// Package claim has measured numbers that are to be believed: each with its interval, with what the interval is over,
// and with a control beside it.
package claim

import (
	"fmt"
	"math"

	"github.com/loupeml/loupe/lib/stats"
)

// alpha gives intervals of 95%.
const alpha = 0.05

// Claim is one measured number with its 95% interval, and what the same number is where the method can do nothing.
type Claim struct {
	Name  string  `json:"name"` // what is measured, and in what, such as "gap that tuning closes, points"
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Unit  string  `json:"unit"`  // what the interval is over, each drawn by itself: "networks", "images"
	N     int     `json:"n"`     // how many of them
	Seeds int     `json:"seeds"` // how many seeds; 1 means one training or one drawing

	Control      string  `json:"control,omitempty"` // what the control is; empty if there is none
	ControlValue float64 `json:"controlValue,omitempty"`
	ControlLow   float64 `json:"controlLow,omitempty"`
	ControlHigh  float64 `json:"controlHigh,omitempty"`

	// Paired says that the control was measured on each unit as well, such as on each network. Then Difference is the
	// mean of value less control, unit by unit, with its own interval: that is what says whether the two differ.
	Paired         bool    `json:"paired,omitempty"`
	Difference     float64 `json:"difference,omitempty"`
	DifferenceLow  float64 `json:"differenceLow,omitempty"`
	DifferenceHigh float64 `json:"differenceHigh,omitempty"`

	values []float64
}

// Mean claims the mean of a value for each unit, such as for each network, with Student's interval over the units
// ([stats.MeanInterval]). The units must be independent: images of one network are not independent networks. There must
// be at least two.
func Mean(name, unit string, seeds int, values []float64) (Claim, error) {
	mean, interval, err := stats.MeanInterval(values, alpha)
	if err != nil {
		return Claim{}, fmt.Errorf("claim: %s: %w", name, err)
	}
	c := Claim{Name: name, Value: mean, Low: interval.Low, High: interval.High, Unit: unit, N: len(values), Seeds: seeds,
		values: append([]float64(nil), values...)}
	return c, c.check()
}

// Share claims how many of n independent units, such as images that one network has not seen, are as the name says: k/n
// in 0..1, with the exact interval of Clopper and Pearson ([stats.ClopperPearson]).
func Share(name, unit string, seeds, k, n int) (Claim, error) {
	interval, err := stats.ClopperPearson(k, n, alpha)
	if err != nil {
		return Claim{}, fmt.Errorf("claim: %s: %w", name, err)
	}
	c := Claim{Name: name, Value: float64(k) / float64(n), Low: interval.Low, High: interval.High, Unit: unit, N: n,
		Seeds: seeds}
	return c, c.check()
}

// Against is the claim of [Mean] with a control that was measured on the same units, in the same order.
func (c Claim) Against(control string, values []float64) (Claim, error) {
	if c.values == nil || len(values) != len(c.values) {
		return Claim{}, fmt.Errorf("claim: %s has %d values, its control %d: it takes one for each of the %s", c.Name,
			len(c.values), len(values), c.Unit)
	}
	differences := make([]float64, len(values))
	for i, v := range values {
		differences[i] = c.values[i] - v
	}
	for _, m := range []struct {
		of               []float64
		value, low, high *float64
	}{
		{values, &c.ControlValue, &c.ControlLow, &c.ControlHigh},
		{differences, &c.Difference, &c.DifferenceLow, &c.DifferenceHigh},
	} {
		mean, interval, err := stats.MeanInterval(m.of, alpha)
		if err != nil {
			return Claim{}, fmt.Errorf("claim: %s: %s: %w", c.Name, control, err)
		}
		*m.value, *m.low, *m.high = mean, interval.Low, interval.High
	}
	c.Control, c.Paired = control, true
	return c, c.check()
}

// AgainstShare is the claim with a control that was counted: k of n independent units.
func (c Claim) AgainstShare(control string, k, n int) (Claim, error) {
	interval, err := stats.ClopperPearson(k, n, alpha)
	if err != nil {
		return Claim{}, fmt.Errorf("claim: %s: %s: %w", c.Name, control, err)
	}
	c.Control, c.ControlValue, c.ControlLow, c.ControlHigh = control, float64(k)/float64(n), interval.Low, interval.High
	return c, c.check()
}

// AgainstValue is the claim with a control that is known, such as chance: one of ten classes is right in 0.1.
func (c Claim) AgainstValue(control string, value float64) (Claim, error) {
	c.Control, c.ControlValue, c.ControlLow, c.ControlHigh = control, value, value, value
	return c, c.check()
}

// AgainstClaim is the claim with the value of another one as its control, such as the same measure of other models.
func (c Claim) AgainstClaim(control string, other Claim) (Claim, error) {
	if err := other.check(); err != nil {
		return Claim{}, fmt.Errorf("claim: %s: %s: %w", c.Name, control, err)
	}
	c.Control, c.ControlValue, c.ControlLow, c.ControlHigh = control, other.Value, other.Low, other.High
	return c, c.check()
}

// check returns an error where a claim lacks something, or has numbers that cannot be.
func (c Claim) check() error {
	switch {
	case c.Name == "":
		return fmt.Errorf("claim: a claim has no name")
	case c.Unit == "" || c.N < 1 || c.Seeds < 1:
		return fmt.Errorf(
			"claim: %s: it is over %d %q with %d seeds: say what the interval is over, how many of them, and how many seeds",
			c.Name, c.N, c.Unit, c.Seeds)
	}
	for _, r := range c.ranges() {
		// Written so that NaN is no range either.
		if !(r.low <= r.value && r.value <= r.high) || math.IsInf(r.low, 0) || math.IsInf(r.high, 0) {
			return fmt.Errorf("claim: %s: %s is %v, from %v to %v", c.Name, r.name, r.value, r.low, r.high)
		}
	}
	return nil
}

// span is a number with its interval.
type span struct {
	name             string
	value, low, high float64
}

// ranges are the numbers that the claim has.
func (c Claim) ranges() []span {
	all := []span{{"value", c.Value, c.Low, c.High}}
	if c.Control != "" {
		all = append(all, span{"control", c.ControlValue, c.ControlLow, c.ControlHigh})
	}
	if c.Paired {
		all = append(all, span{"difference", c.Difference, c.DifferenceLow, c.DifferenceHigh})
	}
	return all
}
