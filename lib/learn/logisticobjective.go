package learn

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/model"
)

// objective is what the optimizer sees: the mean over the images, so that tolerances do not depend on how many there
// are.
//
// Its variables are weights U [K, D] of the features less their mean, on a scale B [D, D] if there is one, W = U B, and
// what W x + b is at the mean, [K], on a scale of its own. Neither change of variables changes the objective: at the
// mean, the bias hardly depends on the weights any more, and the scale does the same for the weights.
type objective struct {
	problem   *logisticProblem
	lambda    float64
	precision dtypes.DType

	x           []float64 // where the rest was evaluated
	gradient    []float64
	value, loss float64
	largest     float64   // derivative by a weight or a bias
	spread      float64   // the mean of p(1-p)
	weights     []float64 // W
	bias        []float64 // b
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

// call evaluates in a precision.
func call[T float32 | float64](o *objective) error {
	p := o.problem
	n, k, d := float64(p.n), p.classes, p.inputs
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
	b, err := matrixOf[T](o.bias, 1, k)
	if err != nil {
		return err
	}
	defer b.MustFinalizeAll()
	exec, err := logisticProgram(dtypes.FromGenericsType[T]())
	if err != nil {
		return err
	}
	out, err := exec.Call(p.features, p.labels, w, b)
	if err != nil {
		return err
	}
	o.gradient = append(o.gradient[:0], o.x...)
	byWeights, byBias, sums := o.gradient[:k*d], o.gradient[k*d:], make([]float64, 2)
	if err := errors.Join(take[T](byWeights, out[0]), take[T](byBias, out[1]), take[float64](sums, out[2])); err != nil {
		return err
	}
	o.loss, o.spread = sums[0], sums[1]/(n*float64(k))
	floats.AddScaled(byWeights, o.lambda, o.weights)
	o.largest = max(floats.Norm(byWeights, math.Inf(1)), floats.Norm(byBias, math.Inf(1))) / n
	for c, by := range byBias {
		floats.AddScaled(byWeights[c*d:(c+1)*d], -by, p.mean)
		byBias[c] = by * p.unit()
	}
	if p.scale != nil {
		if err := multiply[T](byWeights, k, d, p.scale.transposed); err != nil {
			return err
		}
	}
	floats.Scale(1/n, o.gradient)
	o.value = (o.loss + o.lambda/2*floats.Dot(o.weights, o.weights)) / n
	return nil
}

// logisticProgram computes of features [N, D], labels [N] int32, weights [K, D] and biases [1, K]
//
//	the loss's gradients by the weights, [K, D], and by the biases, [K], and both the loss and the sum of p(1-p), [2] float64
//
// without the penalty. In single precision the sums would be too coarse for a line search. Compiling each loop over
// elements takes a few hundredths of a second, and ten megabytes, so there are few.
func logisticProgram(precision dtypes.DType) (*model.Program, error) {
	return programs.get("logistic regression", precision, func(in []*graph.Node) []*graph.Node {
		x, labels, w, b := graph.ConvertDType(in[0], precision), in[1], in[2], in[3]
		logits := graph.Add(graph.Einsum("nd,kd->nk", x, w), b)
		label := graph.OneHot(labels, w.Shape().Dimensions[0], precision)
		logits = graph.Sub(logits, graph.StopGradient(graph.ReduceAndKeep(logits, graph.ReduceMax, 1)))
		powers := graph.Exp(logits)
		norm := graph.ReduceAndKeep(powers, graph.ReduceSum, 1)
		probabilities := graph.Div(powers, norm)
		residual := graph.Sub(probabilities, label)
		double := func(x *graph.Node) *graph.Node { return graph.ConvertDType(x, dtypes.Float64) }
		loss := graph.Sub(graph.Log(graph.Squeeze(norm, 1)), graph.ReduceSum(graph.Mul(label, logits), 1))
		spread := graph.ReduceSum(graph.Mul(probabilities, graph.OneMinus(probabilities)), 1)
		return []*graph.Node{
			graph.Einsum("nk,nd->kd", residual, x),
			graph.ReduceSum(residual, 0),
			graph.ReduceSum(double(graph.Stack([]*graph.Node{loss, spread}, 0)), 1),
		}
	})
}

// head is the classifier where the objective was evaluated last.
func (o *objective) head() *model.Head {
	return &model.Head{Weights: mat.NewDense(o.problem.classes, o.problem.inputs, slices.Clone(o.weights)),
		Bias: slices.Clone(o.bias)}
}

// product multiplies two matrices on the device, as an equation of [graph.Einsum] says. A program of nothing but a
// product calls a library and has no code of its own: it is compiled in a hundredth of a second, where each loop over
// elements takes a few more, and ten megabytes.
func product[T float32 | float64](equation string, a, b *tensors.Tensor) (*tensors.Tensor, error) {
	precision := dtypes.FromGenericsType[T]()
	exec, err := programs.get(equation, precision, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Einsum(equation, graph.ConvertDType(in[0], precision),
			graph.ConvertDType(in[1], precision))}
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
	backend, err := backend.Get()
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

// take copies a tensor's values and gives its memory back, which would otherwise wait for the garbage collector, who
// does not see how large it is.
func take[T float32 | float64](to []float64, from *tensors.Tensor) error {
	defer from.MustFinalizeAll()
	return tensors.ConstFlatData(from, func(flat []T) {
		for i, v := range flat {
			to[i] = float64(v)
		}
	})
}
