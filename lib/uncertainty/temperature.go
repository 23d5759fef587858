package uncertainty

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"

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
	if err := tensors.ConstFlatData(logits, func(flat []float32) { temperature, failed = fitTemperature(flat, k, labels) }); err != nil {
		return 0, fmt.Errorf("uncertainty: %w", err)
	}
	return temperature, failed
}

func fitTemperature(flat []float32, k int, labels []int) (float64, error) {
	n := float64(len(labels))
	type sums struct{ loss, slope, curvature float64 }
	parts := make([]sums, parallel.NumParts(len(labels), partRows))
	// each sums over the images, several at a time.
	each := func(do func(i int, s *sums)) (loss, slope, curvature float64) {
		parallel.Parts(len(labels), partRows, func(part, lo, hi int) {
			var s sums
			for i := lo; i < hi; i++ {
				do(i, &s)
			}
			parts[part] = s
		})
		for _, s := range parts {
			loss, slope, curvature = loss+s.loss/n, slope+s.slope/n, curvature+s.curvature/n
		}
		return loss, slope, curvature
	}
	// At β = 1/T = 0, where all classes are as likely, the slope is that of the mean logit over the label's; it is no
	// finite number if a logit is none.
	largest := make([]float32, len(labels))
	_, slope, _ := each(func(i int, s *sums) {
		z := flat[i*k : (i+1)*k]
		top, sum := z[0], 0.0
		for _, v := range z {
			sum += float64(v)
			top = max(top, v)
		}
		largest[i] = top
		s.slope += sum/float64(k) - float64(z[labels[i]])
	})
	if slope-slope != 0 {
		return 0, finite(flat, k)
	}
	if slope >= 0 {
		return 0, fmt.Errorf("uncertainty: no temperature makes these logits fit their labels: on average the label's logit is not above the others'. Are the labels those of the images?")
	}
	if separable(flat, k, labels) {
		return 0, fmt.Errorf("uncertainty: every label has the highest logit, so the lower the temperature the better the fit: take more images, or images that the model was not trained on")
	}
	// loss, slope and curvature in β.
	at := func(beta float64) (loss, slope, curvature float64) {
		return each(func(i int, s *sums) {
			top := float64(largest[i])
			var norm, mean, square float64
			for _, v := range flat[i*k : (i+1)*k] {
				below := float64(v) - top
				e := explog.Exp(beta * below)
				norm += e
				e *= below
				mean += e
				square += e * below
			}
			mean, square = mean/norm, square/norm
			label := float64(flat[i*k+labels[i]])
			s.loss += explog.Log(norm) + beta*(top-label)
			s.slope += mean + top - label
			s.curvature += square - mean*mean
		})
	}
	// In log β there is no boundary. The optimizer asks for all three at one place, which one look at the logits gives.
	var beta, loss, curvature float64
	look := func(x []float64) {
		if b := math.Exp(x[0]); b != beta {
			beta = b
			loss, slope, curvature = at(beta)
		}
	}
	problem := optimize.Problem{
		Func: func(x []float64) float64 { look(x); return loss },
		Grad: func(grad, x []float64) { look(x); grad[0] = slope * beta },
		Hess: func(h *mat.SymDense, x []float64) { look(x); h.SetSym(0, 0, curvature*beta*beta+slope*beta) },
	}
	result, err := optimize.Minimize(problem, []float64{0}, &optimize.Settings{GradientThreshold: 1e-9}, &optimize.Newton{})
	if err != nil && (result == nil || math.Abs(gradient(problem, result.X)) > 1e-6) {
		return 0, fmt.Errorf("uncertainty: the temperature: %w", err)
	}
	return math.Exp(-result.X[0]), nil
}

// gradient is that of a problem of one variable.
func gradient(p optimize.Problem, x []float64) float64 {
	g := []float64{0}
	p.Grad(g, x)
	return g[0]
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

// WithTemperature returns the same model with its logits divided by a temperature: the same predictions with other
// confidences. It is not saved as a model: keep the model that it is made of, and the temperature.
func WithTemperature(m *model.Model, temperature float64) (*model.Model, error) {
	if !(temperature > 0) || temperature-temperature != 0 { // infinite
		return nil, fmt.Errorf("uncertainty: the temperature is %v, it is positive", temperature)
	}
	name := fmt.Sprintf("%s at temperature %.3g", m.Name(), temperature)
	return m.Extend(name, m.Spec().Classes, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		return graph.DivScalar(out.Logits, temperature)
	})
}
