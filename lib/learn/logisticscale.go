package learn

import (
	"cmp"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/model"
)

// logisticScale is a change of variables after which the second derivatives are nearly the same in all directions, so
// that the optimizer needs fewer steps. The matrix of second derivatives by the weights of a class lies below that of
// Böhning and Lindsay, "Monotonicity of quadratic-approximation algorithms", Annals of the Institute of Statistical
// Mathematics 40 (1988),
//
//	M = s/n X̃ᵀX̃ + λ/n
//
// of the features less their mean; their s is 1/2, and here it is the mean of p(1-p) over classes and images, nearer to
// what there is. With M = L Lᵀ, the weights are U L⁻¹.
type logisticScale struct {
	ratio float64           // λ/s
	unit  float64           // that of the biases, whose second derivative is s
	upper blas64.Triangular // the transpose of L⁻¹

	// L⁻¹, [D, D] float32, and its transpose: a product with a matrix as it lies takes a fifth of the time of one with its
	// transpose
	inverse, transposed *tensors.Tensor
}

// free gives back what is on the device.
func (p *logisticProblem) free() {
	p.labels.MustFinalizeAll()
	if p.scale != nil {
		p.scale.inverse.MustFinalizeAll()
		p.scale.transposed.MustFinalizeAll()
		p.scale = nil
	}
}

// evenSpread is p(1-p) where no class is likelier than another.
func evenSpread(classes int) float64 {
	p := 1 / float64(classes)
	return p * (1 - p)
}

// stale reports whether λ/s has become so different that a new scale is worth its making.
func (s *logisticScale) stale(ratio float64) bool {
	return math.Abs(math.Log(ratio/s.ratio)) > math.Log(8)
}

// worthScaling reports whether a scale saves more than it takes: for several λ, or where there are not many more
// features than classes. A scale has some matrices [D, D].
func (p *logisticProblem) worthScaling(lambdas int) bool {
	return p.inputs <= 4096 && (lambdas > 4 || p.inputs <= 8*p.classes)
}

// rescale makes a scale, in the place of the one that there is. It takes O(D³), and as many images as tell enough of
// the features' covariance.
func (p *logisticProblem) rescale(lambda, s float64) error {
	d := p.inputs
	if p.covariance == nil {
		if err := p.cover(); err != nil {
			return err
		}
	}
	scale := p.scale
	if scale == nil {
		scale = &logisticScale{upper: blas64.Triangular{N: d, Stride: d, Data: make([]float64, d*d), Uplo: blas.Upper,
			Diag: blas.NonUnit}}
		var err error
		if scale.inverse, err = emptyMatrix[float32](d, d); err != nil {
			return fmt.Errorf("learn: %w", err)
		}
		if scale.transposed, err = emptyMatrix[float32](d, d); err != nil {
			return fmt.Errorf("learn: %w", err)
		}
		p.scale = scale
	}
	scale.ratio, scale.unit = lambda/s, 1/math.Sqrt(s)
	// Nothing is smaller than a millionth of the largest, which single precision would not tell from it.
	floor := 0.
	for i := range d {
		floor = max(floor, s*float64(p.covariance[i*d+i])*1e-6)
	}
	if floor == 0 {
		floor = 1 // features that are all the same
	}
	m := scale.upper.Data
	for i, v := range p.covariance {
		m[i] = s * float64(v)
	}
	for i := range d {
		m[i*d+i] += max(lambda/float64(p.n), floor)
	}
	// Both in their place: M becomes Lᵀ, and that its inverse.
	if _, ok := lapack64.Potrf(blas64.Symmetric{N: d, Stride: d, Data: m, Uplo: blas.Upper}); !ok {
		return fmt.Errorf("learn: the features' covariance has no root")
	}
	if !lapack64.Trtri(scale.upper) {
		return fmt.Errorf("learn: the root of the features' covariance has no inverse")
	}
	var failed error
	if err := tensors.MutableFlatData(scale.inverse, func(inverse []float32) {
		failed = tensors.MutableFlatData(scale.transposed, func(transposed []float32) {
			for i := range d {
				for j := i; j < d; j++ {
					v := float32(m[i*d+j])
					transposed[i*d+j], inverse[j*d+i] = v, v
				}
			}
		})
	}); err != nil || failed != nil {
		return fmt.Errorf("learn: %w", cmp.Or(err, failed))
	}
	return nil
}

// cover computes the covariance, from an even choice of the images where there are more than three for each feature.
func (p *logisticProblem) cover() error {
	d := p.inputs
	step := max(p.n/(3*d), 1)
	rows := min((p.n+step-1)/step, 1024) // at a time; the last ones are followed by zeros
	part, err := emptyMatrix[float32](rows, d)
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	defer part.MustFinalizeAll()
	p.covariance = make([]float32, d*d)
	used := 0
	for begin := 0; begin < p.n; begin += rows * step {
		var failed error
		if err := tensors.ConstFlatData(p.features, func(flat []float32) {
			failed = tensors.MutableFlatData(part, func(to []float32) {
				clear(to)
				for i := begin; i < min(begin+rows*step, p.n); i += step {
					used++
					for j, v := range flat[i*d : (i+1)*d] {
						to[j] = v - float32(p.mean[j])
					}
					to = to[d:]
				}
			})
		}); err != nil || failed != nil {
			return fmt.Errorf("learn: %w", cmp.Or(err, failed))
		}
		out, err := product[float32]("nd,ne->de", part, part)
		if err != nil {
			return fmt.Errorf("learn: %w", err)
		}
		err = tensors.ConstFlatData(out, func(flat []float32) {
			for i, v := range flat {
				p.covariance[i] += v
			}
		})
		out.MustFinalizeAll()
		if err != nil {
			return fmt.Errorf("learn: %w", err)
		}
	}
	for i := range p.covariance {
		p.covariance[i] /= float32(used)
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
	u.Copy(head.Weights)
	if p.scale != nil {
		blas64.Trsm(blas.Right, blas.Trans, 1, p.scale.upper, u.RawMatrix()) // U L⁻¹ = W
	}
	at := mat.NewVecDense(p.classes, x[weights:])
	at.MulVec(head.Weights, mat.NewVecDense(p.inputs, p.mean))
	for k, b := range head.Bias {
		x[weights+k] = (x[weights+k] + b) / p.unit()
	}
	return x
}
