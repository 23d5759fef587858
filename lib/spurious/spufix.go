package spurious

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/model"
)

// Fix says which directions of a class's weighted features are spurious.
type Fix struct {
	Class      int
	Mean       []float64  // ψ̄ of the class's images, [D]
	Directions *mat.Dense // of length 1, in the columns, [D, R]
}

// Fix returns the fix for components, counted from 0, that were found spurious.
func (c *Components) Fix(components ...int) (Fix, error) {
	if len(components) == 0 {
		return Fix{}, fmt.Errorf("spurious: a fix names the components that are spurious, and there are none")
	}
	d, _ := c.Vectors.Dims()
	f := Fix{Class: c.Class, Mean: c.Mean, Directions: mat.NewDense(d, len(components), nil)}
	for i, l := range components {
		if l < 0 || l >= c.Len() {
			return Fix{}, fmt.Errorf("spurious: class %d has the components 0 to %d, and no component %d", c.Class, c.Len()-1, l)
		}
		f.Directions.SetCol(i, mat.Col(nil, l, c.Vectors))
	}
	return f, nil
}

// MatchedFix returns the fix for another model: the directions of its weighted features that covary most with the α of
// spurious components of a first model on the same images of the class, [N, R], each
//
//	d = Σ_i α_i (ψ_i - ψ̄) / ‖Σ_i α_i (ψ_i - ψ̄)‖
//
// features are the other model's, [N, D], and head is its head. Neuhaus et al., section 5.
func MatchedFix(alphas, features *mat.Dense, head *model.Head, class int) (Fix, error) {
	if err := check(features, head, class); err != nil {
		return Fix{}, err
	}
	n, d := features.Dims()
	if alphas == nil || alphas.IsEmpty() {
		return Fix{}, fmt.Errorf("spurious: there are no α to be matched")
	}
	rows, r := alphas.Dims()
	if rows != n {
		return Fix{}, fmt.Errorf("spurious: α of %d images and features of %d: both are of the same images", rows, n)
	}
	psi := weighted(features, head, class)
	f := Fix{Class: class, Mean: make([]float64, d), Directions: mat.NewDense(d, r, nil)}
	for j := range d {
		f.Mean[j] = mat.Sum(psi.ColView(j)) / float64(n)
	}
	psi.Apply(func(_, j int, v float64) float64 { return v - f.Mean[j] }, psi)
	f.Directions.Mul(psi.T(), alphas)
	for l := range r {
		length := mat.Norm(f.Directions.ColView(l), 2)
		if length == 0 || math.IsNaN(length) {
			return Fix{}, fmt.Errorf("spurious: the features of class %d do not vary with component %d", class, l)
		}
		for j := range d {
			f.Directions.Set(j, l, f.Directions.At(j, l)/length)
		}
	}
	return f, nil
}

// SpuFix returns the model with what spurious directions add to the logits of their classes taken off, as far as it is
// positive:
//
//	logit_k - Σ_l max(0, β_l),  β_l = proj_l(ψ - ψ̄) · Σ_j d_lj
//
// with the coefficients proj of the least-squares projection on the class's directions. Nothing is trained. Neuhaus et
// al., section 5.
func SpuFix(m *model.Model, fixes ...Fix) (*model.Model, error) {
	head, err := m.Head()
	if err != nil {
		return nil, err
	}
	k, d := head.Weights.Dims()
	more := map[string]*tensors.Tensor{}
	seen := map[int]bool{}
	for i, f := range fixes {
		switch rows, _ := f.Directions.Dims(); {
		case f.Class < 0 || f.Class >= k:
			return nil, fmt.Errorf("spurious: class %d does not exist: %s has the classes 0 to %d", f.Class, m.Name(), k-1)
		case seen[f.Class]:
			return nil, fmt.Errorf("spurious: there are two fixes for class %d: put their directions into one", f.Class)
		case rows != d || len(f.Mean) != d:
			return nil, fmt.Errorf(
				"spurious: the fix for class %d is for %d features and %s has %d: MatchedFix makes one for another model", f.Class,
				rows, m.Name(), d)
		}
		seen[f.Class] = true
		// The coefficients of the projection are (DᵀD)⁻¹Dᵀ(ψ - ψ̄).
		var gram, inverse, projection mat.Dense
		gram.Mul(f.Directions.T(), f.Directions)
		if err := inverse.Inverse(&gram); err != nil {
			return nil, fmt.Errorf("spurious: directions of class %d depend on each other: %w", f.Class, err)
		}
		projection.Mul(f.Directions, &inverse)
		_, r := f.Directions.Dims()
		for l := range r {
			sum := mat.Sum(f.Directions.ColView(l))
			for j := range d {
				projection.Set(j, l, projection.At(j, l)*sum)
			}
		}
		more[fmt.Sprintf("SpuFix/%d/weights", i)] = vector(head.Weights.RawRowView(f.Class))
		more[fmt.Sprintf("SpuFix/%d/mean", i)] = vector(f.Mean)
		more[fmt.Sprintf("SpuFix/%d/projection", i)] = tensor(&projection)
	}
	return m.Extend(m.Name()+" with SpuFix", m.Spec().Classes, more,
		func(b *model.Builder, out model.Outputs) *graph.Node {
			logits := out.Logits
			for i, f := range fixes {
				weight := func(what string) *graph.Node { return b.Weight(fmt.Sprintf("SpuFix/%d/%s", i, what)) }
				psi := graph.Mul(flat(out.Features), graph.ExpandAxes(weight("weights"), 0))
				beta := graph.Einsum("nd,dl->nl", graph.Sub(psi, graph.ExpandAxes(weight("mean"), 0)), weight("projection"))
				harm := graph.ReduceAndKeep(graph.Max(beta, graph.ZerosLike(beta)), graph.ReduceSum, -1)
				class := graph.OneHot(graph.Const(b.Graph(), []int32{int32(f.Class)}), k, logits.DType())
				logits = graph.Sub(logits, graph.Mul(harm, class))
			}
			return logits
		})
}
