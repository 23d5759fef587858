// Package ood asks whether a model notices that an image is of nothing it knows.
//
// A [Score] gives each image a number, the higher the less it looks like what the model was trained on, and [Detect]
// says how well that tells unknown images from known ones. Hendrycks and Gimpel, "A Baseline for Detecting
// Misclassified and Out-of-Distribution Examples in Neural Networks", ICLR 2017, and Hendrycks et al., "Scaling
// Out-of-Distribution Detection for Real-World Settings", ICML 2022.
package ood

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Score is a way to say from the logits of an image, or of a pixel, how unknown it looks.
type Score interface {
	// Name is how it is called in tables and plots.
	Name() string
	// of is the score of logits; the logarithms of their softmax are given besides.
	of(logits, logProbabilities []float64) float64
}

// MaxSoftmax is the baseline: less the highest probability, -1 to -1/K. Hendrycks and Gimpel, ICLR 2017.
type MaxSoftmax struct{}

// MaxLogit is less the highest logit. Hendrycks et al., ICML 2022, section 3.
type MaxLogit struct{}

// Energy is -T log Σ exp(z/T). Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020, equation 4.
type Energy struct {
	// Temperature is T; 0 means 1.
	Temperature float64
}

// Entropy is that of the probabilities in nats, 0 to log K.
type Entropy struct{}

// Name is "max softmax".
func (MaxSoftmax) Name() string { return "max softmax" }

// Name is "max logit".
func (MaxLogit) Name() string { return "max logit" }

// Name is "energy", with its temperature unless that is 1.
func (e Energy) Name() string {
	if e.Temperature == 0 || e.Temperature == 1 {
		return "energy"
	}
	return fmt.Sprintf("energy at temperature %.3g", e.Temperature)
}

// Name is "entropy".
func (Entropy) Name() string { return "entropy" }

func (MaxSoftmax) of(logits, _ []float64) float64 { return -highest(logits) }

// highest is the highest probability, 1 / Σ exp(z - max z). So two equal logits give 0.5 and no neighbour of it, as a
// way over logarithms does: who compares with a threshold asks for ties.
func highest(logits []float64) float64 {
	top, sum := slices.Max(logits), 0.0
	for _, z := range logits {
		sum += math.Exp(z - top)
	}
	return 1 / sum
}

func (MaxLogit) of(logits, _ []float64) float64 { return -slices.Max(logits) }

func (e Energy) of(logits, _ []float64) float64 {
	t := e.Temperature
	if t == 0 {
		t = 1
	}
	top, sum := slices.Max(logits), 0.0
	for _, z := range logits {
		sum += math.Exp((z - top) / t)
	}
	return -top - t*math.Log(sum)
}

func (Entropy) of(_, logProbabilities []float64) float64 {
	sum := 0.0
	for _, l := range logProbabilities {
		sum -= math.Exp(l) * l
	}
	return sum
}

// Of scores logits, [N, K] float32, one number for each of N. For pixels, [N, H, W, K], the scores are those of all
// pixels, row by row. It is an error if a logit is no finite number.
func Of(s Score, logits *tensors.Tensor) ([]float64, error) {
	if table.IsNil(s) {
		return nil, fmt.Errorf("ood: there is no score: it is nil")
	}
	if e, is := s.(Energy); is && !(e.Temperature >= 0) {
		return nil, fmt.Errorf("ood: the temperature of an energy is %v, it is positive", e.Temperature)
	}
	var scores []float64
	err := each(logits, func(z, log []float64) error {
		if m, is := s.(*KLMatching); is && len(m.typical) != len(z) {
			return fmt.Errorf("ood: KL matching was fitted for %d classes and gets logits of %d", len(m.typical), len(z))
		}
		scores = append(scores, s.of(z, log))
		return nil
	})
	return scores, err
}

// OfAnswers scores what a model has answered, one number for each image. It is an error where its classes do not
// exclude each other, or its logits are not known.
func OfAnswers(s Score, a *model.Answers) ([]float64, error) {
	if table.IsNil(s) {
		return nil, fmt.Errorf("ood: there is no score: it is nil")
	}
	if a == nil {
		return nil, fmt.Errorf("ood: there are no answers: they are nil")
	}
	if _, raw := s.(MaxLogit); raw && a.Activation == model.Sigmoid {
		return nil, fmt.Errorf("ood: the max logit takes a logit for each class, and %s has sigmoids: take MaxSoftmax",
			a.Model)
	}
	logits, err := a.SoftmaxLogits("ood: " + s.Name())
	if err != nil {
		return nil, err
	}
	return Of(s, logits)
}

// each visits the logits of each image or pixel, with the logarithms of their softmax; both are overwritten for the
// next.
func each(logits *tensors.Tensor, visit func(z, log []float64) error) error {
	if logits == nil || logits.Rank() != 2 && logits.Rank() != 4 || logits.DType() != dtypes.Float32 {
		return fmt.Errorf("ood: logits are a tensor [N, K] or [N, H, W, K] float32")
	}
	dims := logits.Shape().Dimensions
	k := dims[len(dims)-1]
	if logits.Size() == 0 || k < 2 {
		return fmt.Errorf("ood: logits of the shape %v: there have to be an image and two classes", dims)
	}
	flat, err := tensors.CopyFlatData[float32](logits)
	if err != nil {
		return fmt.Errorf("ood: %w", err)
	}
	z, log := make([]float64, k), make([]float64, k)
	for at := 0; at < len(flat); at += k {
		for c, v := range flat[at : at+k] {
			if z[c] = float64(v); v-v != 0 { // no finite number
				return fmt.Errorf("ood: logit %d of row %d is %v", c, at/k, v)
			}
		}
		norm := -Energy{}.of(z, nil)
		for c, v := range z {
			log[c] = v - norm
		}
		if err := visit(z, log); err != nil {
			return err
		}
	}
	return nil
}
