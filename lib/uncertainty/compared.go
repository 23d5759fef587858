package uncertainty

import (
	"fmt"

	"github.com/loupeml/loupe/lib/claim"
)

// Rise claims of each method of two units or more how a measure changes under the shifts of these intensities: the mean
// over these beside no shift, unit by unit. Claims are named such as "ECE under shifts: dropout", after the benchmark's
// name where it has one: "CIFAR-10: ECE under shifts: dropout".
func (u *UnderShift) Rise(measure Measure, intensities ...int) (claim.Claims, error) {
	if u == nil {
		u = &UnderShift{}
	}
	var all claim.Claims
	for m, method := range u.methods {
		if u.units[m] < 2 {
			continue
		}
		values, err := u.Of(measure, method, intensities...)
		if err != nil {
			return nil, err
		}
		plain, err := u.Of(measure, method)
		if err != nil {
			return nil, err
		}
		if all, err = u.claim(all, fmt.Sprintf("%s%s: %s", measure.Name, under(intensities), method), values, "no shift",
			plain); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("uncertainty: no method has two units: an interval takes as many")
	}
	return all, nil
}

// Compared claims measures of methods beside those of a control, unit by unit, which takes two units or more: means
// over the shifts of these intensities, none for no shift. Claims are named such as "ECE under shifts: dropout and
// vanilla" or "ECE: dropout and vanilla".
func (u *UnderShift) Compared(measures []Measure, intensities []int, control string, methods ...string) (claim.Claims,
	error) {
	var all claim.Claims
	for _, method := range methods {
		for _, measure := range measures {
			values, err := u.Of(measure, method, intensities...)
			if err != nil {
				return nil, err
			}
			beside, err := u.Of(measure, control, intensities...)
			if err != nil {
				return nil, err
			}
			name := fmt.Sprintf("%s%s: %s and %s", measure.Name, under(intensities), method, control)
			if all, err = u.claim(all, name, values, control, beside); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// Calibrated claims a method's [ECE] beside [ECEIfCalibrated], what a calibrated one of the same confidence has: the
// mean over the shifts of these intensities, none for no shift. It takes two units or more. The claim is named such as
// "ECE: vanilla and calibrated".
func (u *UnderShift) Calibrated(method string, intensities ...int) (claim.Claims, error) {
	values, err := u.Of(ECE, method, intensities...)
	if err != nil {
		return nil, err
	}
	beside, err := u.Of(ECEIfCalibrated, method, intensities...)
	if err != nil {
		return nil, err
	}
	return u.claim(nil, fmt.Sprintf("%s%s: %s and calibrated", ECE.Name, under(intensities), method), values,
		"if it were calibrated", beside)
}

// under is how claims say that they are over shifts.
func under(intensities []int) string {
	if len(intensities) == 0 {
		return ""
	}
	return " under shifts"
}

// claim adds one claim of values beside those of a control.
func (u *UnderShift) claim(to claim.Claims, name string, values []float64, control string,
	beside []float64) (claim.Claims, error) {
	c, err := claim.Mean(u.name+name, u.unit, len(values), values)
	if err == nil {
		c, err = c.Against(control, beside)
	}
	if err != nil {
		return nil, err
	}
	return append(to, c), nil
}
