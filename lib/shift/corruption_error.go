package shift

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/stats"
)

// ErrorRates are a classifier's top-1 error rates, in 0..1.
type ErrorRates struct {
	Name  string
	Clean float64 // on the images as they are
	// Corrupted[name] is the mean over the five severities of a corruption.
	Corrupted map[string]float64
	// Low and High, where they are known, are the means over the severities of the ends of an interval of each rate.
	Low, High map[string]float64
}

// Mean is the mean of the rates over the corruptions, 0..1, without a baseline to divide by; NaN of no corruptions.
func (e ErrorRates) Mean() float64 {
	var sum float64
	for _, name := range slices.Sorted(maps.Keys(e.Corrupted)) { // in an order, so that rounding is the same
		sum += e.Corrupted[name]
	}
	return sum / float64(len(e.Corrupted))
}

// AlexNet returns the error rates of AlexNet on ImageNet-C by which the authors of the benchmark divide (Hendrycks and
// Dietterich, ICLR 2019; the figures are those of the spreadsheet that github.com/hendrycks/robustness refers to), and
// its error on ImageNet (torchvision's weights).
func AlexNet() ErrorRates {
	return ErrorRates{Name: "AlexNet", Clean: 0.43478, Corrupted: map[string]float64{
		"gaussian_noise": 0.886428, "shot_noise": 0.894468, "impulse_noise": 0.922640,
		"defocus_blur": 0.819880, "glass_blur": 0.826268, "motion_blur": 0.785948, "zoom_blur": 0.798360,
		"snow": 0.866816, "frost": 0.826572, "fog": 0.819324, "brightness": 0.564592,
		"contrast": 0.853204, "elastic_transform": 0.646056, "pixelate": 0.717840, "jpeg_compression": 0.606500,
	}}
}

// CorruptionError is how much a classifier errs on corrupted images, in proportion to a baseline. 1 is as much as the
// baseline; less is better.
type CorruptionError struct {
	Model, Baseline string
	Corruptions     []string
	// CE[c] is the sum of the errors over the severities by the baseline's, Relative[c] the sum of what they exceed the
	// clean error by, by the baseline's.
	CE, Relative []float64
	// Mean and MeanRelative are the means over the corruptions: mCE and relative mCE. The field gives them in percent.
	Mean, MeanRelative float64
	// Interval is the mean of the ends of the rates' intervals, and zero where they have none. From intervals of 95% it
	// is wider than one of 95%: the rates are of the same images, so it reckons with all of them being too high at
	// once.
	Interval stats.Interval
}

// MeanCorruptionError divides a model's error rates by a baseline's, the zero value being AlexNet (Hendrycks and
// Dietterich, ICLR 2019, section 4.1). The mean is over the baseline's corruptions: AlexNet's are perturb.Common on
// ImageNet at 224 pixels; on other data give another model's rates as the baseline.
//
// It returns an error when the model has no rate for a corruption of the baseline, and for rates that are not in 0..1
// or no divisor. Where the baseline does not lose accuracy under a corruption, Relative is not a number.
func MeanCorruptionError(errors, baseline ErrorRates) (*CorruptionError, error) {
	if baseline.Corrupted == nil {
		baseline = AlexNet()
	}
	e := &CorruptionError{Model: errors.Name, Baseline: baseline.Name}
	for _, c := range perturb.Corruptions() {
		if _, ok := baseline.Corrupted[c.Name]; ok {
			e.Corruptions = append(e.Corruptions, c.Name)
		}
	}
	var others []string
	for name := range baseline.Corrupted {
		if !slices.Contains(e.Corruptions, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	if e.Corruptions = append(e.Corruptions, others...); len(e.Corruptions) == 0 {
		return nil, fmt.Errorf("shift: the baseline has no corruptions")
	}
	for _, rates := range []ErrorRates{errors, baseline} {
		if !(rates.Clean >= 0 && rates.Clean <= 1) {
			return nil, fmt.Errorf("shift: %s has the error rate %v on clean images; rates are in 0 to 1", nameOf(rates),
				rates.Clean)
		}
		var missing []string
		for _, c := range e.Corruptions {
			rate, ok := rates.Corrupted[c]
			if !ok {
				missing = append(missing, c)
			} else if !(rate >= 0 && rate <= 1) {
				return nil, fmt.Errorf("shift: %s has the error rate %v under %s; rates are in 0 to 1", nameOf(rates), rate, c)
			}
		}
		if missing != nil {
			return nil, fmt.Errorf("shift: %s has no error rate for %s, which the baseline %s has", nameOf(rates),
				strings.Join(missing, ", "), nameOf(baseline))
		}
	}
	n := float64(len(e.Corruptions))
	interval := true
	for _, c := range e.Corruptions {
		of := baseline.Corrupted[c]
		if of == 0 {
			return nil, fmt.Errorf("shift: %s makes no error under %s, which cannot be divided by", nameOf(baseline), c)
		}
		relative := math.NaN()
		if of > baseline.Clean {
			relative = (errors.Corrupted[c] - errors.Clean) / (of - baseline.Clean)
		}
		e.CE, e.Relative = append(e.CE, errors.Corrupted[c]/of), append(e.Relative, relative)
		e.Mean, e.MeanRelative = e.Mean+errors.Corrupted[c]/of/n, e.MeanRelative+relative/n
		low, ok1 := errors.Low[c]
		high, ok2 := errors.High[c]
		interval = interval && ok1 && ok2
		e.Interval.Low, e.Interval.High = e.Interval.Low+low/of/n, e.Interval.High+high/of/n
	}
	if !interval {
		e.Interval = stats.Interval{}
	}
	return e, nil
}

func nameOf(rates ErrorRates) string {
	if rates.Name == "" {
		return "the model"
	}
	return rates.Name
}

// ErrorRates returns the sweep's error rates with 95% intervals (Clopper and Pearson) for MeanCorruptionError. It
// returns an error for a sweep that was interrupted.
func (s *Sweep) ErrorRates() (ErrorRates, error) {
	rates := ErrorRates{Name: s.Model, Corrupted: map[string]float64{}, Low: map[string]float64{},
		High: map[string]float64{}}
	for c, name := range s.Corruptions {
		if len(s.Accuracy[c]) != perturb.Severities+1 {
			return ErrorRates{}, fmt.Errorf("shift: the sweep has %d of the %d severities of %s: it was interrupted",
				len(s.Accuracy[c])-1, perturb.Severities, name)
		}
		for severity, a := range s.Accuracy[c] {
			if a.Total < 1 || a.Correct < 0 || a.Correct > a.Total {
				return ErrorRates{}, fmt.Errorf("shift: %d of %d images under %s are right, which cannot be", a.Correct,
					a.Total, name)
			}
			if severity == 0 {
				rates.Clean = 1 - a.Share()
				continue
			}
			interval := a.Interval()
			rates.Corrupted[name] += (1 - a.Share()) / perturb.Severities
			rates.Low[name] += (1 - interval.High) / perturb.Severities
			rates.High[name] += (1 - interval.Low) / perturb.Severities
		}
	}
	if len(rates.Corrupted) == 0 {
		return ErrorRates{}, fmt.Errorf("shift: the sweep has no corruptions")
	}
	return rates, nil
}

// Bundle shows a table.
func (e *CorruptionError) Bundle() mime.Bundle {
	table := display.Table{Header: []string{"corruption", "CE, %", "relative CE, %"}}
	for c, name := range e.Corruptions {
		table.Add(name, 100*e.CE[c], 100*e.Relative[c])
	}
	mean := fmt.Sprintf("%.1f", 100*e.Mean)
	if e.Interval != (stats.Interval{}) {
		mean += fmt.Sprintf(" (%.1f to %.1f)", 100*e.Interval.Low, 100*e.Interval.High)
	}
	table.Add(fmt.Sprintf("mean, %s by %s", e.Model, e.Baseline), mean, 100*e.MeanRelative)
	return table.Bundle()
}
