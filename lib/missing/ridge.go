package missing

import (
	"fmt"

	"gonum.org/v1/gonum/mat"
)

// ridge solves weighted ridge regressions on the same points, for many values:
//
//	minimise Σ w (y - x·β - c)² + α‖β‖²
//
// with the intercept c free, as scikit-learn's Ridge with sample weights.
type ridge struct {
	x       [][]bool // the points, with d coordinates of 0 and 1
	weights []float64
	means   []float64    // of the coordinates, by weight
	total   float64      // of the weights
	factor  mat.Cholesky // of Σ w (x - mean)(x - mean)ᵀ + α
}

func newRidge(x [][]bool, weights []float64, alpha float64) (*ridge, error) {
	d := len(x[0])
	r := &ridge{x: x, weights: weights, means: make([]float64, d)}
	centred := mat.NewDense(len(x), d, nil)
	for i, point := range x {
		r.total += weights[i]
		for j, on := range point {
			if on {
				r.means[j] += weights[i]
			}
		}
	}
	if !(r.total > 0) {
		return nil, fmt.Errorf(
			"missing: all masks have the weight 0, they are too far from the whole image: make KernelWidth larger")
	}
	for j := range r.means {
		r.means[j] /= r.total
	}
	scaled := mat.NewDense(len(x), d, nil)
	for i, point := range x {
		for j, on := range point {
			v := -r.means[j]
			if on {
				v++
			}
			centred.Set(i, j, v)
			scaled.Set(i, j, v*weights[i])
		}
	}
	var product mat.Dense
	product.Mul(centred.T(), scaled)
	gram := mat.NewSymDense(d, nil)
	for i := range d {
		for j := i; j < d; j++ {
			gram.SetSym(i, j, product.At(i, j))
		}
		gram.SetSym(i, i, gram.At(i, i)+alpha)
	}
	if !r.factor.Factorize(gram) {
		return nil, fmt.Errorf("missing: the regression is singular: draw more masks, or make LIME's Alpha larger")
	}
	return r, nil
}

// solve returns the coefficients, the intercept and the weighted share of variance explained.
func (r *ridge) solve(y []float64) (coefficients []float64, intercept, r2 float64, err error) {
	var mean float64
	for i, v := range y {
		mean += r.weights[i] * v / r.total
	}
	right := mat.NewVecDense(len(r.means), nil)
	var sum float64
	for i, v := range y {
		wv := r.weights[i] * (v - mean)
		sum += wv
		for j, on := range r.x[i] {
			if on {
				right.SetVec(j, right.AtVec(j)+wv)
			}
		}
	}
	for j, m := range r.means {
		right.SetVec(j, right.AtVec(j)-m*sum)
	}
	var solved mat.VecDense
	if err := r.factor.SolveVecTo(&solved, right); err != nil {
		return nil, 0, 0,
			fmt.Errorf("missing: the regression is too close to singular: draw more masks, or make LIME's Alpha larger")
	}
	coefficients = append([]float64(nil), solved.RawVector().Data...)
	intercept = mean
	for j, m := range r.means {
		intercept -= m * coefficients[j]
	}
	var rest, all float64
	for i, v := range y {
		fit := intercept
		for j, on := range r.x[i] {
			if on {
				fit += coefficients[j]
			}
		}
		rest += r.weights[i] * (v - fit) * (v - fit)
		all += r.weights[i] * (v - mean) * (v - mean)
	}
	if all > 0 {
		r2 = 1 - rest/all
	}
	return coefficients, intercept, r2, nil
}
