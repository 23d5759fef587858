package uncertainty

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/explog"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Calibrator makes a model's probabilities agree better with how often it is right. It is fitted to images that the
// model was not trained on, from the distribution that it is to be used on, and judged on others again: nothing here
// can know which images those are. [Temperature], [VectorScaling], [MatrixScaling], [IsotonicRegression] and
// [HistogramBinning] are calibrators; the last three may change which class is the likeliest.
type Calibrator interface {
	// Name is how it is called in tables and in the names of models.
	Name() string
	// Apply returns calibrated probabilities for probabilities, both [N, K] float32 with rows that sum to 1.
	Apply(probabilities *tensors.Tensor) (*tensors.Tensor, error)
	// Model returns the same model with calibrated probabilities; its logits are their logarithms, but for a constant.
	// It is not saved as a model: keep the model that it is made of, and the calibrator's Table.
	Model(m *model.Model) (*model.Model, error)
}

// Calibrated are the same images and labels with calibrated probabilities.
func (p *Predictions) Calibrated(c Calibrator) (*Predictions, error) {
	if p == nil || table.IsNil(c) {
		return nil, fmt.Errorf("uncertainty: there is nothing to calibrate, or nothing to calibrate by: it is nil")
	}
	t, err := c.Apply(tensors.FromFlatDataAndDimensions(p.probabilities, p.n, p.classes))
	if err != nil {
		return nil, err
	}
	q, err := FromProbabilities(t, p.labels)
	if err != nil {
		return nil, err
	}
	q.index, q.files, q.classOf = p.index, p.files, p.classOf
	return q, nil
}

// floor is the logarithm that stands for those of smaller probabilities, 0 among them: that of what double precision
// adds to 1 at least, as in netcal.
const floor = -52 * math.Ln2

// logOf is the logarithm of a probability, not below the floor.
func logOf(p float32) float64 {
	if p == 0 {
		return floor
	}
	return max(math.Log(float64(p)), floor)
}

// fitted returns an error for what has been fitted to nothing, or for another number of classes.
func fitted(name string, classes, got int) error {
	if classes == 0 {
		return fmt.Errorf("uncertainty: this %s is not fitted: call its Fit function", name)
	}
	if classes != got {
		return fmt.Errorf("uncertainty: %s was fitted for %d classes and gets %d", name, classes, got)
	}
	return nil
}

// widthOf is the number of classes that probabilities are of.
func widthOf(probabilities *tensors.Tensor) (int, error) {
	if probabilities == nil || probabilities.Rank() != 2 || probabilities.DType() != dtypes.Float32 ||
		probabilities.Size() == 0 {
		return 0, fmt.Errorf("uncertainty: probabilities are a tensor [N, K] float32, of one image at least")
	}
	return probabilities.Shape().Dimensions[1], nil
}

// apply replaces each row of probabilities by what change makes of it: any numbers from 0, which are brought to the sum
// 1, or where all are 0 to equal shares.
func apply(name string, classes int, probabilities *tensors.Tensor, change func(p []float32, to []float64)) (
	*tensors.Tensor, error) {
	k, err := widthOf(probabilities)
	if err != nil {
		return nil, err
	}
	if err := fitted(name, classes, k); err != nil {
		return nil, err
	}
	n := probabilities.Shape().Dimensions[0]
	flat, err := tensors.CopyFlatData[float32](probabilities)
	if err != nil {
		return nil, fmt.Errorf("uncertainty: %w", err)
	}
	for i := range n {
		if err := checkRow(i, flat[i*k:(i+1)*k]); err != nil {
			return nil, err
		}
	}
	parallel.Parts(n, partRows, func(_, lo, hi int) {
		to := make([]float64, k)
		for i := lo; i < hi; i++ {
			row := flat[i*k : (i+1)*k]
			change(row, to)
			sum := 0.0
			for _, v := range to {
				sum += v
			}
			for c, v := range to {
				row[c] = float32(v / sum)
				if sum == 0 {
					row[c] = 1 / float32(k)
				}
			}
		}
	})
	return tensors.FromFlatDataAndDimensions(flat, n, k), nil
}

// softmaxOf replaces scores by what their softmax is in proportion to.
func softmaxOf(scores []float64) {
	top := math.Inf(-1)
	for _, z := range scores {
		top = max(top, z)
	}
	for c, z := range scores {
		scores[c] = explog.Exp(z - top)
	}
}

// extended is a model whose logits are scores that fn makes of the logarithms of its probabilities, [N, K], which are
// not below the floor. weights are what fn asks for, by their names with a number in front.
func extended(name string, classes int, m *model.Model, weights map[string]*tensors.Tensor,
	fn func(weight func(name string) *graph.Node, log *graph.Node) *graph.Node) (*model.Model, error) {
	if m == nil {
		return nil, fmt.Errorf("uncertainty: there is no model to calibrate: it is nil")
	}
	if err := fitted(name, classes, m.NumClasses()); err != nil {
		return nil, err
	}
	// Of a model that has been calibrated already the names are taken.
	taken, prefix := m.Weights(), ""
	for number := 1; prefix == ""; number++ {
		prefix = fmt.Sprintf("calibration%d.", number)
		for w := range weights {
			if taken[prefix+w] != nil {
				prefix = ""
				break
			}
		}
	}
	more := map[string]*tensors.Tensor{}
	for w, t := range weights {
		more[prefix+w] = t
	}
	return m.Extend(m.Name()+" with "+name, m.Spec().Classes, more, func(b *model.Builder, out model.Outputs) *graph.Node {
		one := out.Logits.Shape().Dimensions[out.Logits.Rank()-1] == 1 // tells two classes apart
		if err := m.NeedsSoftmax("uncertainty: " + name); err != nil && !one {
			panic(err)
		}
		log := graph.MaxScalar(m.LogProbabilitiesFrom(out.Logits), floor)
		scores := fn(func(name string) *graph.Node { return b.Weight(prefix + name) }, log)
		if one {
			return graph.Sub(graph.Slice(scores, graph.AxisRange(), graph.AxisRange(1, 2)),
				graph.Slice(scores, graph.AxisRange(), graph.AxisRange(0, 1)))
		}
		return scores
	})
}

// logOfShares are the logarithms of numbers from 0, [N, K], brought to the sum 1 as [apply] does, and not below the
// floor.
func logOfShares(q *graph.Node) *graph.Node {
	sum := graph.ReduceAndKeep(q, graph.ReduceSum, 1)
	nothing := graph.BroadcastToShape(graph.LessOrEqual(sum, graph.ZerosLike(sum)), q.Shape())
	q = graph.Where(nothing, graph.OnesLike(q), q)
	q = graph.Div(q, graph.ReduceAndKeep(q, graph.ReduceSum, 1))
	return graph.Log(graph.MaxScalar(q, math.Exp(floor)))
}

// float32s are numbers as a tensor.
func float32s(values []float64, dims ...int) *tensors.Tensor {
	flat := make([]float32, len(values))
	for i, v := range values {
		flat[i] = float32(v)
	}
	return tensors.FromFlatDataAndDimensions(flat, dims...)
}
