package spurious

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/model"
)

// Features returns what the model's last linear layer sees of each image of a dataset, [N, D]. Interrupted, it returns
// an error only: components and rankings are of all images or of none.
func Features(m *model.Model, ds model.Dataset) (*mat.Dense, error) {
	features, err := m.FeaturesOf(ds)
	if err != nil {
		return nil, err
	}
	return matrix(features)
}

// matrix copies a float32 tensor with N rows into a matrix of N rows.
func matrix(t *tensors.Tensor) (*mat.Dense, error) {
	flat, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fmt.Errorf("spurious: %w", err)
	}
	n := t.Shape().Dimensions[0]
	out := make([]float64, len(flat))
	for i, v := range flat {
		out[i] = float64(v)
	}
	return mat.NewDense(n, len(flat)/n, out), nil
}

// tensor copies a matrix into a float32 tensor.
func tensor(m mat.Matrix) *tensors.Tensor {
	r, c := m.Dims()
	flat := make([]float32, 0, r*c)
	for i := range r {
		for j := range c {
			flat = append(flat, float32(m.At(i, j)))
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, r, c)
}

// vector copies numbers into a float32 tensor of rank 1.
func vector(v []float64) *tensors.Tensor {
	flat := make([]float32, len(v))
	for i, x := range v {
		flat[i] = float32(x)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(flat))
}

// check returns an error unless there are features of the head's length, all of them numbers, and the class exists.
func check(features *mat.Dense, head *model.Head, class int) error {
	if err := head.Check(); err != nil {
		return fmt.Errorf("spurious: %w", err)
	}
	k, d := head.Weights.Dims()
	if class < 0 || class >= k {
		return fmt.Errorf("spurious: class %d does not exist: the head has the classes 0 to %d", class, k-1)
	}
	if features == nil || features.IsEmpty() {
		return fmt.Errorf("spurious: there are no features: give those of at least two images")
	}
	n, width := features.Dims()
	if width != d {
		return fmt.Errorf(
			"spurious: the features are [%d, %d], and the head is for %d of them: take the features and the head of one model",
			n, width, d)
	}
	for i := range n {
		for j, v := range features.RawRowView(i) {
			if v-v != 0 { // no finite number
				return fmt.Errorf("spurious: feature %d of image %d is %v", j, i, v)
			}
		}
	}
	return nil
}

// weighted are the features times the class's weights, ψ = φ ⊙ w_k, [N, D]: what each adds to the logit.
func weighted(features *mat.Dense, head *model.Head, class int) *mat.Dense {
	n, d := features.Dims()
	psi := mat.NewDense(n, d, nil)
	w := head.Weights.RawRowView(class)
	psi.Apply(func(_, j int, v float64) float64 { return v * w[j] }, features)
	return psi
}
