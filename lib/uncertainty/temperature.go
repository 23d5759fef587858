package uncertainty

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/explog"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/model"
)

// FitTemperature returns the temperature T by which logits, [N, K] float32, have to be divided for the lowest negative
// log-likelihood of their labels. They should be those of images that the model was not trained on, from the
// distribution that it is to be used on. T > 1 means that the model is too sure of itself. Guo et al., "On Calibration
// of Modern Neural Networks", ICML 2017, section 4.2.
//
// The likelihood is convex in 1/T, so there is one best T. It is an error where there is none: when every label has the
// highest logit, T falls to 0 without end, and when logits say no more of the labels than chance, it grows.
func FitTemperature(logits *tensors.Tensor, labels []int) (float64, error) {
	k, err := classesOf("logits", logits, labels)
	if err != nil {
		return 0, err
	}
	var temperature float64
	var failed error
	if err := tensors.ConstFlatData(logits, func(flat []float32) {
		temperature,
			failed = fitTemperature(flat, k, labels)
	}); err != nil {
		return 0, fmt.Errorf("uncertainty: %w", err)
	}
	return temperature, failed
}

func fitTemperature(flat []float32, k int, labels []int) (float64, error) {
	largest := make([]float64, len(labels)) // logit of each image
	parallel.Parts(len(labels), partRows, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			largest[i] = float64(slices.Max(flat[i*k : (i+1)*k]))
		}
	})
	at := func(beta float64) (slope, curvature float64) { return slopeAt(beta, flat, largest, labels) }
	// At β = 1/T = 0, where all classes are as likely, the slope is that of the mean logit over the label's; it is no
	// finite number if a logit is none.
	slope, _ := at(0)
	if slope-slope != 0 {
		return 0, finite(flat, k)
	}
	if slope >= 0 {
		return 0, fmt.Errorf("uncertainty: no temperature makes these logits fit their labels: on average the label's " +
			"logit is not above the others'. Are the labels those of the images?")
	}
	if separable(flat, k, labels) {
		return 0, fmt.Errorf("uncertainty: every label has the highest logit, so the lower the temperature the better the " +
			"fit: take more images, or images that the model was not trained on")
	}
	return 1 / zero(at), nil
}

// zero is where a growing function, which is below 0 at 0, is 0; f returns its value and its slope. Steps are Newton's,
// or to the middle of where it may be, or twice as far, where these lead out of that.
func zero(f func(x float64) (value, slope float64)) float64 {
	x, low, high := 1.0, 0.0, math.Inf(1)
	for {
		value, slope := f(x)
		next := x - value/slope
		if math.Abs(next-x) <= 1e-7*x {
			return next
		}
		if value < 0 {
			low = x
		} else {
			high = x
		}
		if !(next > low && next < high) {
			next = min((low+high)/2, 2*x)
		}
		x = next
	}
}

// slopeAt is the slope of the mean negative log-likelihood in β, by which logits are multiplied, and its own slope:
//
//	Σ_k p_k z_k - z_y,  Σ_k p_k z_k² - (Σ_k p_k z_k)²,  p = softmax(βz)
func slopeAt(beta float64, flat []float32, largest []float64, labels []int) (slope, curvature float64) {
	k := len(flat) / len(labels)
	type sums struct{ slope, curvature float64 }
	parts := make([]sums, parallel.NumParts(len(labels), partRows))
	parallel.Parts(len(labels), partRows, func(part, lo, hi int) {
		var s sums
		for i := lo; i < hi; i++ {
			row := flat[i*k : (i+1)*k]
			top := largest[i]
			var norm, mean, square float64
			for _, v := range row {
				below := float64(v) - top
				e := explog.Exp(beta * below)
				norm += e
				e *= below
				mean += e
				square += e * below
			}
			mean /= norm
			s.slope += mean + top - float64(row[labels[i]])
			s.curvature += square/norm - mean*mean
		}
		parts[part] = s
	})
	n := float64(len(labels))
	for _, s := range parts {
		slope, curvature = slope+s.slope/n, curvature+s.curvature/n
	}
	return slope, curvature
}

// separable reports whether every label has the highest logit, be it alone or with others.
func separable(logits []float32, k int, labels []int) bool {
	for i, label := range labels {
		row := logits[i*k : (i+1)*k]
		if slices.Max(row) > row[label] {
			return false
		}
	}
	return true
}

// Temperature is the calibrator by one number: logits are divided by it, which leaves the likeliest class what it is.
// [FitTemperature] finds it. Guo et al., ICML 2017, section 4.2.
type Temperature float64

// Name is "temperature", with the number.
func (t Temperature) Name() string { return fmt.Sprintf("temperature %.3g", float64(t)) }

func (t Temperature) check() error {
	if !(t > 0) || t-t != 0 { // infinite
		return fmt.Errorf("uncertainty: the temperature is %v, it is positive", float64(t))
	}
	return nil
}

// Apply divides the logarithms of the probabilities, and takes the softmax.
func (t Temperature) Apply(probabilities *tensors.Tensor) (*tensors.Tensor, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	k, err := widthOf(probabilities)
	if err != nil {
		return nil, err
	}
	return apply(t.Name(), k, probabilities, func(p []float32, to []float64) {
		for c, v := range p {
			to[c] = logOf(v) / float64(t)
		}
		softmaxOf(to)
	})
}

// Model is [WithTemperature].
func (t Temperature) Model(m *model.Model) (*model.Model, error) {
	return WithTemperature(m, float64(t))
}

// WithTemperature returns the same model with its logits divided by a temperature: the same predictions with other
// confidences. It is not saved as a model: keep the model that it is made of, and the temperature.
func WithTemperature(m *model.Model, temperature float64) (*model.Model, error) {
	if err := Temperature(temperature).check(); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("uncertainty: there is no model to calibrate: it is nil")
	}
	name := fmt.Sprintf("%s at temperature %.3g", m.Name(), temperature)
	return m.Extend(name, m.Spec().Classes, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		return graph.DivScalar(out.Logits, temperature)
	})
}
