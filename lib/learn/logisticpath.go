package learn

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// Lambdas are the 45 values from 1e-6 to 1e5, evenly spread on a logarithmic scale, among which Kornblith et al., CVPR 2019, appendix A.2, choose.
func Lambdas() []float64 { return floats.LogSpan(make([]float64, 45), 1e-6, 1e5) }

// Chosen is one λ of several, and how well its fit does.
type Chosen struct {
	Lambda     float64
	Accuracy   float64 // on the images that choose
	Objective  float64 // of the fit
	Iterations int
}

// Choose fits for each of several values of λ, nil for [Lambdas], and returns how well each does on other images; which is best is [Best]'s to say. It goes
// from the largest down and begins each fit at the last one's, so that all together take little longer than the last alone. Fits that use up their iterations, as those of a small λ
// on features that tell the classes apart, count as they are.
//
// Interrupted, it returns those that are done beside the error.
func (l LogisticRegression) Choose(features *tensors.Tensor, labels []int, classes int, others *tensors.Tensor, otherLabels []int, lambdas []float64) ([]Chosen, error) {
	if lambdas == nil {
		lambdas = Lambdas()
	}
	if len(lambdas) == 0 {
		return nil, fmt.Errorf("learn: there is no λ to choose from")
	}
	p, err := newLogisticProblem(features, labels, classes)
	if err != nil {
		return nil, err
	}
	p.rescales = p.worthScaling(len(lambdas))
	lambdas = slices.Clone(lambdas)
	slices.SortFunc(lambdas, func(a, b float64) int { return cmp.Compare(b, a) })
	progress := display.NewProgress("λ", len(lambdas))
	defer progress.Close()
	var chosen []Chosen
	for i, lambda := range lambdas {
		l.Lambda = lambda
		fit, err := p.fit(l)
		if interrupt.Is(err) {
			return chosen, interrupt.After(err, "learn: choosing λ", i, len(lambdas), "values")
		}
		if fit == nil {
			return nil, err
		}
		accuracy, err := HeadAccuracy(fit.Head, others, otherLabels)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, Chosen{lambda, accuracy, fit.Objective, fit.Iterations})
		l.Start = fit.Head
		progress.Add(1)
	}
	return chosen, nil
}

// Best is the choice of the highest accuracy; of equal ones that of the largest λ.
func Best(chosen []Chosen) Chosen {
	best := Chosen{Accuracy: math.Inf(-1)}
	for _, c := range chosen {
		if c.Accuracy > best.Accuracy || c.Accuracy == best.Accuracy && c.Lambda > best.Lambda {
			best = c
		}
	}
	return best
}

// HeadPredictions are the classes to which a head gives the highest logit, for features [N, D] float32.
func HeadPredictions(head *model.Head, features *tensors.Tensor) ([]int, error) {
	out, err := headCall("predictions", head, features, func(logits *graph.Node) *graph.Node { return graph.ArgMax(logits, 1, dtypes.Int32) })
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[int32](out)
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	predicted := make([]int, len(flat))
	for i, c := range flat {
		predicted[i] = int(c)
	}
	return predicted, nil
}

// HeadProbabilities are the softmax of a head's logits, [N, K], for features [N, D] float32.
func HeadProbabilities(head *model.Head, features *tensors.Tensor) (*tensors.Tensor, error) {
	return headCall("probabilities", head, features, func(logits *graph.Node) *graph.Node { return graph.Softmax(logits) })
}

// headCall computes something of a head's logits.
func headCall(name string, head *model.Head, features *tensors.Tensor, of func(logits *graph.Node) *graph.Node) (*tensors.Tensor, error) {
	k, d := head.Weights.Dims()
	if features == nil || features.Rank() != 2 || features.DType() != dtypes.Float32 || features.Shape().Dimensions[1] != d {
		return nil, fmt.Errorf("learn: the head takes features [N, %d] float32", d)
	}
	exec, err := programs.get(name, dtypes.Float32, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{of(graph.Add(graph.Einsum("nd,kd->nk", in[0], in[1]), graph.ExpandAxes(in[2], 0)))}
	})
	if err != nil {
		return nil, err
	}
	weights, bias := make([]float32, k*d), make([]float32, k)
	for c := range k {
		for i, w := range mat.Row(nil, c, head.Weights) {
			weights[c*d+i] = float32(w)
		}
		bias[c] = float32(head.Bias[c])
	}
	out, err := exec.Call1(features, tensors.FromFlatDataAndDimensions(weights, k, d), tensors.FromFlatDataAndDimensions(bias, k))
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	return out, nil
}

// HeadAccuracy is the share of features, [N, D] float32, that a head takes for their labels.
func HeadAccuracy(head *model.Head, features *tensors.Tensor, labels []int) (float64, error) {
	predicted, err := HeadPredictions(head, features)
	if err != nil {
		return 0, err
	}
	if len(predicted) != len(labels) {
		return 0, fmt.Errorf("learn: features of %d images and %d labels", len(predicted), len(labels))
	}
	right := 0
	for i, c := range predicted {
		if c == labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(labels)), nil
}
