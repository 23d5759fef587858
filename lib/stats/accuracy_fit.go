package stats

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// AccuracyPair is a model's accuracies under two conditions, in 0..1: X where it is at home, Y where it is tried.
type AccuracyPair struct {
	Model string  `display:"model"`
	X     float64 `display:"x,percent"`
	Y     float64 `display:"y,percent"`
}

// ExcludedModel is a model that a fit leaves out, and why.
type ExcludedModel struct {
	Model  string `display:"model"`
	Reason string `display:"reason"`
}

// AccuracyFit predicts models' accuracies under one condition from those under another: a [FitLine] or a
// [PiecewiseLine].
type AccuracyFit interface {
	// Predict is the expected accuracy at accuracy x, both in 0..1: β(x) of Taori et al.
	Predict(x float64) float64
	// Band is the percentile bootstrap interval of the prediction at each of xs, over models, at confidence level
	// 1-alpha.
	Band(xs []float64, draws int, alpha float64, seed uint64) ([]Interval, error)
	// Axes is the scale of both axes on which the fit is straight.
	Axes() AxisScale
	// LeftOut are the models that the fit does not rest on.
	LeftOut() []ExcludedModel
}

// FitLine is a straight line through models' accuracies by ordinary least squares, on axes of a scale:
//
//	scale(y) = Intercept + Slope·scale(x)
type FitLine struct {
	Scale     AxisScale `display:"scale"`
	Slope     float64   `display:"slope"`
	Intercept float64   `display:"intercept"`
	R2        float64   `display:"R²"`     // the share of the variance of scale(y) that the line explains
	Models    []string  `display:"models"` // those that the line rests on
	// Excluded are those that it does not: an accuracy of 0 or 1 is infinitely far out on the scales of probits and
	// logits.
	Excluded []ExcludedModel `display:"-"`

	xs, ys []float64 // on the scale
}

// FitAccuracies fits a line. It is an error where an accuracy is outside of 0..1, or fewer than three models remain, or
// all have the same x. Recht et al., ICML 2019, section 4.1 (linear and probit); Taori et al., NeurIPS 2020, section 3
// (logit).
func FitAccuracies(scale AxisScale, pairs []AccuracyPair) (*FitLine, error) {
	if err := scale.check(); err != nil {
		return nil, err
	}
	f := &FitLine{Scale: scale}
	for _, p := range pairs {
		if !(p.X >= 0 && p.X <= 1 && p.Y >= 0 && p.Y <= 1) {
			return nil, fmt.Errorf(
				"stats: the accuracies of %s are %v and %v: they lie between 0 and 1 (percentages are to be divided by 100)",
				p.Model, p.X, p.Y)
		}
		if reason := infinite(scale, p); reason != "" {
			f.Excluded = append(f.Excluded, ExcludedModel{p.Model, reason})
			continue
		}
		f.Models = append(f.Models, p.Model)
		f.xs, f.ys = append(f.xs, scale.Of(p.X)), append(f.ys, scale.Of(p.Y))
	}
	if len(f.xs) < 3 || slices.Min(f.xs) == slices.Max(f.xs) {
		return nil, fmt.Errorf(
			"stats: a line through the accuracies of %d models (%d left out): it takes three or more, of different accuracy",
			len(f.xs), len(f.Excluded))
	}
	f.Intercept, f.Slope = stat.LinearRegression(f.xs, f.ys, nil, false)
	f.R2 = stat.RSquared(f.xs, f.ys, nil, f.Intercept, f.Slope)
	return f, nil
}

func infinite(scale AxisScale, p AccuracyPair) string {
	for _, axis := range []struct {
		name     string
		accuracy float64
	}{{"x", p.X}, {"y", p.Y}} {
		if scale != Linear && (axis.accuracy == 0 || axis.accuracy == 1) {
			return fmt.Sprintf("its %s accuracy is %g, which a %s cannot show", axis.name, axis.accuracy, scale)
		}
	}
	return ""
}

// Predict is the line's accuracy at accuracy x. On linear axes it may leave 0..1.
func (f *FitLine) Predict(x float64) float64 {
	return f.Scale.Accuracy(f.Intercept + f.Slope*f.Scale.Of(x))
}

// Axes is the line's scale.
func (f *FitLine) Axes() AxisScale { return f.Scale }

// LeftOut is Excluded.
func (f *FitLine) LeftOut() []ExcludedModel { return f.Excluded }

// Band is the percentile bootstrap interval over models of the line's accuracy at each of xs; the papers take 1,000
// draws and an alpha of 0.05. Each draw is a line through as many models, drawn with replacement: see [Bootstrap],
// whose samples these are.
func (f *FitLine) Band(xs []float64, draws int, alpha float64, seed uint64) ([]Interval, error) {
	slopes, intercepts, err := f.resampled(draws, alpha, seed)
	if err != nil {
		return nil, err
	}
	band, heights := make([]Interval, len(xs)), make([]float64, len(slopes))
	for i, x := range xs {
		at := f.Scale.Of(x)
		for d := range heights {
			heights[d] = intercepts[d] + slopes[d]*at
		}
		on, err := percentile(heights, draws, alpha)
		if err != nil {
			return nil, err
		}
		band[i] = Interval{f.Scale.Accuracy(on.Low), f.Scale.Accuracy(on.High)}
	}
	return band, nil
}

// Coefficients are the percentile bootstrap intervals over models of the slope and the intercept.
func (f *FitLine) Coefficients(draws int, alpha float64, seed uint64) (slope, intercept Interval, err error) {
	slopes, intercepts, err := f.resampled(draws, alpha, seed)
	if err != nil {
		return slope, intercept, err
	}
	if slope, err = percentile(slopes, draws, alpha); err != nil {
		return slope, intercept, err
	}
	intercept, err = percentile(intercepts, draws, alpha)
	return slope, intercept, err
}

// resampled are lines through samples of the models; NaN where a sample has only one accuracy.
func (f *FitLine) resampled(draws int, alpha float64, seed uint64) (slopes, intercepts []float64, err error) {
	n := len(f.xs)
	xs, ys := make([]float64, n), make([]float64, n)
	err = resample(n, draws, alpha, seed, func(sample []int) {
		for k, i := range sample {
			xs[k], ys[k] = f.xs[i], f.ys[i]
		}
		intercept, slope := stat.LinearRegression(xs, ys, nil, false)
		slopes, intercepts = append(slopes, slope), append(intercepts, intercept)
	})
	return slopes, intercepts, err
}
