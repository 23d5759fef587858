package learn

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/internal/explog"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/stats"
)

// Lambdas are the 45 values from 1e-6 to 1e5, evenly spread on a logarithmic scale, among which Kornblith et al., CVPR
// 2019, appendix A.2, choose.
func Lambdas() []float64 { return floats.LogSpan(make([]float64, 45), 1e-6, 1e5) }

// LambdaScore is one λ of several, and how well its fit does.
type LambdaScore struct {
	Lambda     float64        `display:"λ"`
	Accuracy   stats.Accuracy `display:"accuracy"`  // on the images that choose
	Objective  float64        `display:"objective"` // of the fit
	Iterations int            `display:"iterations"`
}

// Choose fits for each of several values of λ, nil for [Lambdas], and returns how well each does on other images; which
// is best is [BestLambda]'s to say. It goes from the largest down and begins each fit at the last one's, so that all
// together take little longer than the last alone. Fits that use up their iterations, as those of a small λ on features
// that tell the classes apart, count as they are.
//
// Interrupted, it returns those that are done beside the error.
func (l LogisticRegression) Choose(features *tensors.Tensor, labels []int, classes int, others *tensors.Tensor,
	otherLabels []int, lambdas []float64) ([]LambdaScore, error) {
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
	defer p.free()
	p.rescales = p.worthScaling(len(lambdas))
	lambdas = slices.Clone(lambdas)
	slices.SortFunc(lambdas, func(a, b float64) int { return cmp.Compare(b, a) })
	bar := progress.New("logistic regression: strengths of regularisation", len(lambdas))
	defer bar.Close()
	var chosen []LambdaScore
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
		chosen = append(chosen, LambdaScore{lambda, accuracy, fit.Objective, fit.Iterations})
		l.Start = fit.Head
		bar.Add(1)
	}
	return chosen, nil
}

// BestLambda is the choice of the highest accuracy; of equal ones that of the largest λ.
func BestLambda(chosen []LambdaScore) LambdaScore {
	var best LambdaScore
	for i, c := range chosen {
		if i == 0 || c.Accuracy.Correct > best.Accuracy.Correct || c.Accuracy == best.Accuracy && c.Lambda > best.Lambda {
			best = c // all are of the same images
		}
	}
	return best
}

// HeadPredictions are the classes to which a head gives the highest logit, for features [N, D] float32.
func HeadPredictions(head *model.Head, features *tensors.Tensor) ([]int, error) {
	logits, k, err := headLogits(head, features)
	if err != nil {
		return nil, err
	}
	predicted := make([]int, 0, len(logits)/k)
	for row := range slices.Chunk(logits, k) {
		predicted = append(predicted, slices.Index(row, slices.Max(row)))
	}
	return predicted, nil
}

// HeadProbabilities are the softmax of a head's logits, [N, K], for features [N, D] float32.
func HeadProbabilities(head *model.Head, features *tensors.Tensor) (*tensors.Tensor, error) {
	logits, k, err := headLogits(head, features)
	if err != nil {
		return nil, err
	}
	n := len(logits) / k
	explog.Softmax(logits, logits, k, make([]float64, n), make([]float64, n))
	return tensors.FromFlatDataAndDimensions(logits, n, k), nil
}

// headLogits are a head's logits, [N, K].
func headLogits(head *model.Head, features *tensors.Tensor) (logits []float32, classes int, err error) {
	if err := head.Check(); err != nil {
		return nil, 0, fmt.Errorf("learn: %w", err)
	}
	k, d := head.Weights.Dims()
	if features == nil || features.Rank() != 2 || features.DType() != dtypes.Float32 ||
		features.Shape().Dimensions[1] != d {
		return nil, 0, fmt.Errorf("learn: the head takes features [N, %d] float32", d)
	}
	weights, err := matrixOf[float32](mat.DenseCopyOf(head.Weights).RawMatrix().Data, k, d)
	if err != nil {
		return nil, 0, fmt.Errorf("learn: %w", err)
	}
	defer weights.MustFinalizeAll()
	out, err := product[float32]("nd,kd->nk", features, weights)
	if err != nil {
		return nil, 0, fmt.Errorf("learn: %w", err)
	}
	defer out.MustFinalizeAll()
	if logits, err = tensors.CopyFlatData[float32](out); err != nil {
		return nil, 0, fmt.Errorf("learn: %w", err)
	}
	for row := range slices.Chunk(logits, k) {
		for c, b := range head.Bias {
			row[c] += float32(b)
		}
	}
	return logits, k, nil
}

// HeadAccuracy says how many of features, [N, D] float32, a head takes for their labels; those whose label is -1,
// unknown, do not count.
func HeadAccuracy(head *model.Head, features *tensors.Tensor, labels []int) (stats.Accuracy, error) {
	predicted, err := HeadPredictions(head, features)
	if err != nil {
		return stats.Accuracy{}, err
	}
	classes, _ := head.Weights.Dims()
	if err := model.CheckLabels(labels, len(predicted), classes); err != nil {
		return stats.Accuracy{}, fmt.Errorf("learn: %w", err)
	}
	return stats.AccuracyOf(predicted, labels)
}
