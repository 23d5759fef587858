package learn

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/model"
)

// logisticScale is a change of variables after which the second derivatives are nearly the same in all directions, so that the optimizer needs fewer steps. The matrix of second derivatives by the weights of a class lies below
// that of Böhning and Lindsay, "Monotonicity of quadratic-approximation algorithms", Annals of the Institute of Statistical Mathematics 40 (1988),
//
//	M = s/n X̃ᵀX̃ + λ/n
//
// of the features less their mean; their s is 1/2, and here it is the mean of p(1-p) over classes and images, nearer to what there is. With M = L Lᵀ, the weights are U L⁻¹.
type logisticScale struct {
	ratio   float64         // λ/s
	root    *mat.TriDense   // Lᵀ
	inverse *tensors.Tensor // L⁻¹, [D, D] float32
	unit    float64         // that of the biases, whose second derivative is s
}

// stale reports whether λ/s has become so different that a new scale is worth its making.
func (s *logisticScale) stale(ratio float64) bool {
	return math.Abs(math.Log(ratio/s.ratio)) > math.Log(8)
}

// worthScaling reports whether a scale saves more than it takes: for several λ, or where there are not many more features than classes. A scale has some matrices [D, D].
func (p *logisticProblem) worthScaling(lambdas int) bool {
	return p.inputs <= 4096 && (lambdas > 4 || p.inputs <= 8*p.classes)
}

// newScale takes O(D³), and as many images as tell enough of the features' covariance.
func (p *logisticProblem) newScale(lambda, s float64) (*logisticScale, error) {
	d := p.inputs
	if p.covariance == nil {
		if err := p.cover(); err != nil {
			return nil, err
		}
	}
	// Nothing is smaller than a millionth of the largest, which single precision would not tell from it.
	floor := 0.
	for i := range d {
		floor = max(floor, s*p.covariance.At(i, i)*1e-6)
	}
	if floor == 0 {
		floor = 1 // features that are all the same
	}
	m := mat.NewSymDense(d, nil)
	m.ScaleSym(s, p.covariance)
	for i := range d {
		m.SetSym(i, i, m.At(i, i)+max(lambda/float64(p.n), floor))
	}
	upper, ok := lapack64.Potrf(m.RawSymmetric()) // in place
	if !ok {
		return nil, fmt.Errorf("learn: the features' covariance has no root")
	}
	root := mat.NewTriDense(d, mat.Upper, upper.Data)
	var inverse mat.TriDense
	if err := inverse.InverseTri(root); err != nil {
		return nil, fmt.Errorf("learn: the features' covariance: %w", err)
	}
	flat := make([]float32, d*d)
	for i := range d {
		for j := i; j < d; j++ {
			flat[j*d+i] = float32(inverse.At(i, j))
		}
	}
	return &logisticScale{lambda / s, root, tensors.FromFlatDataAndDimensions(flat, d, d), 1 / math.Sqrt(s)}, nil
}

// cover computes the covariance, from an even choice of the images where there are more than three for each feature.
func (p *logisticProblem) cover() error {
	d := p.inputs
	step := max(p.n/(3*d), 1)
	var some []float32
	if err := tensors.ConstFlatData(p.features, func(flat []float32) {
		for i := 0; i < p.n; i += step {
			for j, v := range flat[i*d : (i+1)*d] {
				some = append(some, v-float32(p.mean[j]))
			}
		}
	}); err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	exec, err := programs.get("covariance", dtypes.Float32, func(in []*graph.Node) []*graph.Node {
		n := float64(in[0].Shape().Dimensions[0])
		return []*graph.Node{graph.ConvertDType(graph.DivScalar(graph.Einsum("nd,ne->de", in[0], in[0]), n), dtypes.Float64)}
	})
	if err != nil {
		return err
	}
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(some, len(some)/d, d))
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	p.covariance = mat.NewSymDense(d, nil)
	if err := tensors.ConstFlatData(out[0], func(flat []float64) { copy(p.covariance.RawSymmetric().Data, flat) }); err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	return nil
}

// unit is the scale of the biases.
func (p *logisticProblem) unit() float64 {
	if p.scale == nil {
		return 1
	}
	return p.scale.unit
}

// variables are what the optimizer changes, at a head.
func (p *logisticProblem) variables(head *model.Head) []float64 {
	weights := p.classes * p.inputs
	x := make([]float64, weights+p.classes)
	u := mat.NewDense(p.classes, p.inputs, x[:weights:weights])
	if p.scale == nil {
		u.Copy(head.Weights)
	} else {
		u.Mul(head.Weights, p.scale.root.T())
	}
	at := mat.NewVecDense(p.classes, x[weights:])
	at.MulVec(head.Weights, mat.NewVecDense(p.inputs, p.mean))
	for k, b := range head.Bias {
		x[weights+k] = (x[weights+k] + b) / p.unit()
	}
	return x
}
