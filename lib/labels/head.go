package labels

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/learn"
)

// LinearHead fits a linear layer to features, [N, D] float32, such as a model's FeaturesOf returns: multinomial
// logistic regression, which minimises
//
//	C Σ_i -log p(y_i | x_i) + ½ Σ W²
//
// over the weights W and the biases, which are not held small. It is scikit-learn's LogisticRegression. c is C, 0 means
// 1; given are the labels, 0 to classes-1. Features of very different sizes are to be scaled before.
func LinearHead(features *tensors.Tensor, given []int, classes int, c float64) Fit {
	return func(train, held []int) (*tensors.Tensor, error) {
		if c == 0 {
			c = 1
		}
		if !(c > 0) || math.IsInf(c, 0) {
			return nil, fmt.Errorf("labels: C is %v, it is positive", c)
		}
		if classes < 2 {
			return nil, fmt.Errorf("labels: %d classes: a head tells two or more apart", classes)
		}
		for i, y := range given {
			if y < 0 || y >= classes {
				return nil, fmt.Errorf("labels: example %d has the label %d, and the classes are 0 to %d", i, y, classes-1)
			}
		}
		x, err := rowsOf(features, train, len(given))
		if err != nil {
			return nil, err
		}
		fit, err := learn.LogisticRegression{Lambda: 1 / c, Tolerance: steady, Iterations: 5000}.Fit(x,
			chosen(given, train), classes)
		if err != nil {
			return nil, err
		}
		if x, err = rowsOf(features, held, len(given)); err != nil {
			return nil, err
		}
		return learn.HeadProbabilities(fit.Head, x)
	}
}

// steady is the largest derivative per example, at C = 1, at which a fit has converged.
const steady = 1e-7

// rowsOf picks features.
func rowsOf(features *tensors.Tensor, at []int, n int) (*tensors.Tensor, error) {
	rows, err := pick(features, at, n)
	if err != nil {
		return nil, err
	}
	if rows.Rank() != 2 {
		return nil, fmt.Errorf("labels: features are [N, D], and these %s", features.Shape())
	}
	return rows, nil
}
