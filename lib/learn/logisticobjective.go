package learn

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/internal/explog"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/model"
)

// objective is what the optimizer sees: the mean over the images, so that tolerances do not depend on how many there are.
//
// Its variables are weights U [K, D] of the features less their mean, on a scale B [D, D] if there is one, W = U B, and what W x + b is at the mean, [K], on a scale of its own. Neither change of variables
// changes the objective: at the mean, the bias hardly depends on the weights any more, and the scale does the same for the weights.
type objective struct {
	problem   *logisticProblem
	lambda    float64
	precision dtypes.DType

	x           []float64 // where the rest was evaluated
	gradient    []float64
	value, loss float64
	largest     float64         // derivative by a weight or a bias
	spread      float64         // the mean of p(1-p)
	weights     []float64       // W
	bias        []float64       // b
	residual    *tensors.Tensor // probabilities less labels, [K, N]; kept for its memory
	err         error
}

// evaluate fills in the fields. The optimizer asks for one after the other, and all come at once.
func (o *objective) evaluate(x []float64) {
	if o.err != nil || slices.Equal(x, o.x) {
		return
	}
	o.x = append(o.x[:0], x...)
	at := call[float32]
	if o.precision == dtypes.Float64 {
		at = call[float64]
	}
	if err := at(o); err != nil {
		o.err = fmt.Errorf("learn: %w", err)
	}
}

// free gives back what is on the device.
func (o *objective) free() {
	if o.residual != nil {
		o.residual.MustFinalizeAll()
		o.residual = nil
	}
}

// call evaluates, with the products on the device in a precision and the rest here in double.
func call[T float32 | float64](o *objective) error {
	p := o.problem
	n, k, d := p.n, p.classes, p.inputs
	o.weights = append(o.weights[:0], o.x[:k*d]...)
	if p.scale != nil {
		if err := multiply[T](o.weights, k, d, p.scale.inverse); err != nil {
			return err
		}
	}
	w, err := matrixOf[T](o.weights, k, d)
	if err != nil {
		return err
	}
	defer w.MustFinalizeAll()
	o.bias = append(o.bias[:0], o.x[k*d:]...)
	for c := range o.bias {
		o.bias[c] = o.bias[c]*p.unit() - floats.Dot(o.weights[c*d:(c+1)*d], p.mean)
	}
	logits, err := product[T]("nd,kd->nk", p.features, w)
	if err != nil {
		return err
	}
	byBias, err := compare[T](o, logits)
	logits.MustFinalizeAll()
	if err != nil {
		return err
	}
	out, err := product[T]("kn,nd->kd", o.residual, p.features)
	if err != nil {
		return err
	}
	o.gradient = append(o.gradient[:0], o.x...)
	byWeights := o.gradient[:k*d]
	if err := take[T](byWeights, out); err != nil {
		return err
	}
	floats.AddScaled(byWeights, o.lambda, o.weights)
	o.largest = max(floats.Norm(byWeights, math.Inf(1)), floats.Norm(byBias, math.Inf(1))) / float64(n)
	for c, by := range byBias {
		floats.AddScaled(byWeights[c*d:(c+1)*d], -by, p.mean)
		o.gradient[k*d+c] = by * p.unit()
	}
	if p.scale != nil {
		if err := multiply[T](byWeights, k, d, p.scale.transposed); err != nil {
			return err
		}
	}
	floats.Scale(1/float64(n), o.gradient)
	o.value = (o.loss + o.lambda/2*floats.Dot(o.weights, o.weights)) / float64(n)
	return nil
}

// compare fills in the loss, the spread and the residuals from logits less their bias, [N, K], and returns the loss's gradient by the bias.
func compare[T float32 | float64](o *objective, logits *tensors.Tensor) (byBias []float64, err error) {
	n, k := o.problem.n, o.problem.classes
	if o.residual == nil {
		if o.residual, err = emptyMatrix[T](k, n); err != nil {
			return nil, err
		}
	}
	const rows = 256
	type sums struct {
		loss, spread float64
		byBias       []float64
	}
	parts := make([]sums, (n+rows-1)/rows)
	var failed error
	err = tensors.ConstFlatData(logits, func(z []T) {
		failed = tensors.MutableFlatData(o.residual, func(residual []T) {
			parallel.Parts(n, rows, func(part, lo, hi int) {
				s, row := sums{byBias: make([]float64, k)}, make([]float64, k)
				for i := lo; i < hi; i++ {
					largest := math.Inf(-1)
					for c, v := range z[i*k : (i+1)*k] {
						row[c] = float64(v) + o.bias[c]
						if row[c] > largest {
							largest = row[c]
						}
					}
					label, norm := o.problem.labels[i], 0.0
					ofLabel := row[label]
					for c, v := range row {
						row[c] = explog.Exp(v - largest)
						norm += row[c]
					}
					s.loss += explog.Log(norm) + largest - ofLabel
					norm = 1 / norm
					squares, at := 0.0, i
					for c, e := range row {
						probability := e * norm
						squares += probability * probability
						s.byBias[c] += probability
						residual[at] = T(probability)
						at += n
					}
					s.spread += 1 - squares
					s.byBias[label]--
					residual[label*n+i] = T(row[label]*norm - 1)
				}
				parts[part] = s
			})
		})
	})
	if err != nil || failed != nil {
		return nil, cmp.Or(err, failed)
	}
	o.loss, o.spread, byBias = 0, 0, make([]float64, k)
	for _, s := range parts {
		o.loss += s.loss
		o.spread += s.spread / float64(n*k)
		floats.Add(byBias, s.byBias)
	}
	return byBias, nil
}

// head is the classifier where the objective was evaluated last.
func (o *objective) head() (*model.Head, error) {
	if o.err != nil {
		return nil, o.err
	}
	return &model.Head{Weights: mat.NewDense(o.problem.classes, o.problem.inputs, slices.Clone(o.weights)), Bias: slices.Clone(o.bias)}, nil
}

// product multiplies two matrices on the device, as an equation of [graph.Einsum] says. A program of nothing but a product calls a library and has no code of its own: it is compiled in a hundredth of a second, where each loop over elements takes a
// few more, and ten megabytes.
func product[T float32 | float64](equation string, a, b *tensors.Tensor) (*tensors.Tensor, error) {
	precision := dtypes.FromGenericsType[T]()
	exec, err := programs.get(equation, precision, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Einsum(equation, graph.ConvertDType(in[0], precision), graph.ConvertDType(in[1], precision))}
	})
	if err != nil {
		return nil, err
	}
	return exec.Call1(a, b)
}

// multiply replaces a matrix m [k, d] by its product with another one, [d, d].
func multiply[T float32 | float64](m []float64, k, d int, by *tensors.Tensor) error {
	from, err := matrixOf[T](m, k, d)
	if err != nil {
		return err
	}
	defer from.MustFinalizeAll()
	out, err := product[T]("kd,de->ke", from, by)
	if err != nil {
		return err
	}
	return take[T](m, out)
}

// emptyMatrix is a tensor [rows, columns], in memory that the device uses if there is such.
func emptyMatrix[T float32 | float64](rows, columns int) (*tensors.Tensor, error) {
	backend, err := model.Backend()
	if err != nil {
		return nil, err
	}
	return tensors.FromShapeForBackend(backend, 0, shapes.Make(dtypes.FromGenericsType[T](), rows, columns))
}

// matrixOf is a tensor [rows, columns] of values, which are rounded to its precision in their place as well.
func matrixOf[T float32 | float64](values []float64, rows, columns int) (*tensors.Tensor, error) {
	t, err := emptyMatrix[T](rows, columns)
	if err != nil {
		return nil, err
	}
	return t, tensors.MutableFlatData(t, func(flat []T) {
		for i, v := range values {
			flat[i] = T(v)
			values[i] = float64(flat[i])
		}
	})
}

// take copies a tensor's values and gives its memory back, which would otherwise wait for the garbage collector, who does not see how large it is.
func take[T float32 | float64](to []float64, from *tensors.Tensor) error {
	defer from.MustFinalizeAll()
	return tensors.ConstFlatData(from, func(flat []T) {
		for i, v := range flat {
			to[i] = float64(v)
		}
	})
}
