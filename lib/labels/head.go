package labels

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"

	"github.com/loupeml/loupe/lib/interrupt"
)

// LinearHead fits a linear layer to features, [N, D] float32, such as a model's FeaturesOf returns: multinomial logistic regression, which minimises
//
//	C Σ_i -log p(y_i | x_i) + ½ Σ W²
//
// over the weights W and the biases, which are not held small. It is scikit-learn's LogisticRegression. c is C, 0 means 1; given are the labels, 0 to classes-1. Features of very different sizes are
// to be scaled before.
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
		x, err := design(features, train, len(given))
		if err != nil {
			return nil, err
		}
		weights, err := regress(x, chosen(given, train), classes, c)
		if err != nil {
			return nil, err
		}
		if x, err = design(features, held, len(given)); err != nil {
			return nil, err
		}
		p := softmax(x, weights)
		out := make([]float32, 0, len(held)*classes)
		for i := range held {
			for _, v := range p.RawRowView(i) {
				out = append(out, float32(v))
			}
		}
		return tensors.FromFlatDataAndDimensions(out, len(held), classes), nil
	}
}

// design are rows of features with a 1 at their end, which the bias goes with.
func design(features *tensors.Tensor, at []int, n int) (*mat.Dense, error) {
	rows, err := pick(features, at, n)
	if err != nil {
		return nil, err
	}
	if rows.Rank() != 2 {
		return nil, fmt.Errorf("labels: features are [N, D], and these %s", features.Shape())
	}
	flat, err := tensors.CopyFlatData[float32](rows)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	d := rows.Shape().Dimensions[1]
	x := mat.NewDense(len(at), d+1, nil)
	for i := range at {
		row := x.RawRowView(i)
		for j, v := range flat[i*d : (i+1)*d] {
			if row[j] = float64(v); math.IsNaN(row[j]) || math.IsInf(row[j], 0) {
				return nil, fmt.Errorf("labels: feature %d of example %d is %v", j, at[i], v)
			}
		}
		row[d] = 1
	}
	return x, nil
}

// softmax are the probabilities of each row of x by weights [K, D+1].
func softmax(x, weights *mat.Dense) *mat.Dense {
	var p mat.Dense
	p.Mul(x, weights.T())
	n, _ := p.Dims()
	for i := range n {
		row := p.RawRowView(i)
		most := row[0]
		for _, v := range row {
			most = max(most, v)
		}
		var sum float64
		for k, v := range row {
			row[k] = math.Exp(v - most)
			sum += row[k]
		}
		for k := range row {
			row[k] /= sum
		}
	}
	return &p
}

// steady is the largest gradient, as a share of C times the examples, at which a fit has converged.
const steady = 1e-7

// regress finds the weights, [K, D+1], by L-BFGS.
func regress(x *mat.Dense, y []int, classes int, c float64) (*mat.Dense, error) {
	n, d := x.Dims()
	scale := 1 / (c * float64(n)) // of the sum, so that its size does not depend on the number of examples
	var p *mat.Dense
	var at []float64
	probabilities := func(w []float64) *mat.Dense {
		if at == nil || !equal(at, w) { // the function and its gradient are asked for one after the other
			at = append(at[:0], w...)
			p = softmax(x, mat.NewDense(classes, d, at))
		}
		return p
	}
	problem := optimize.Problem{
		Func: func(w []float64) float64 {
			p := probabilities(w)
			var loss float64
			for i, k := range y {
				loss -= c * math.Log(max(p.At(i, k), math.SmallestNonzeroFloat64))
			}
			for j, v := range w {
				if j%d != d-1 {
					loss += v * v / 2
				}
			}
			return loss * scale
		},
		Grad: func(gradient, w []float64) {
			difference := mat.DenseCopyOf(probabilities(w))
			for i, k := range y {
				difference.Set(i, k, difference.At(i, k)-1)
			}
			g := mat.NewDense(classes, d, gradient)
			g.Mul(difference.T(), x)
			g.Scale(c, g)
			for j, v := range w {
				if j%d != d-1 {
					gradient[j] += v
				}
				gradient[j] *= scale
			}
		},
	}
	result, err := optimize.Minimize(problem, make([]float64, classes*d), &optimize.Settings{GradientThreshold: steady, MajorIterations: 5000, Recorder: asker{}}, &optimize.LBFGS{})
	if stopped := interrupt.Err(); stopped != nil {
		return nil, stopped
	}
	if result == nil {
		return nil, fmt.Errorf("labels: the head does not converge: %w", err)
	}
	// A line search that cannot lower the loss any more has come as far as the numbers go.
	gradient := make([]float64, len(result.X))
	problem.Grad(gradient, result.X)
	for _, v := range gradient {
		if !(math.Abs(v) < 1e3*steady) {
			return nil, fmt.Errorf("labels: the head does not converge (%v): scale the features to about 1, or make C smaller", result.Status)
		}
	}
	return mat.NewDense(classes, d, result.X), nil
}

func equal(a, b []float64) bool {
	for i, v := range a {
		if v != b[i] {
			return false
		}
	}
	return true
}

// asker stops a fit where it is to be interrupted.
type asker struct{}

func (asker) Init() error { return nil }

func (asker) Record(*optimize.Location, optimize.Operation, *optimize.Stats) error {
	return interrupt.Err()
}
