package ood

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/model"
)

// ViM adds a class to the logits, whose logit is how much of an image's features f lies outside the space that known
// images' features lie in:
//
//	α ‖Rᵀ (f - u)‖ - log Σ_k exp(W f + b)_k,  u = -W⁺ b,  α = Σ_i max_k (W f_i + b)_k / Σ_i ‖Rᵀ (f_i - u)‖
//
// W and b are the network's last layer, W⁺ is W's pseudo-inverse, and R are the directions of D - d of the smallest
// eigenvalues of Σ_i (f_i - u)(f_i - u)ᵀ. Wang, Li, Feng and Zhang, "ViM: Out-Of-Distribution with Virtual-logit
// Matching", CVPR 2022, section 4. The score is the logarithm of the ratio of the paper's, which the released code and
// pytorch-ood take too.
type ViM struct {
	m      *model.Model
	head   *model.Head
	origin []float64  // u
	rest   *mat.Dense // R, [D, D - d]
	alpha  float64
}

// FitViM finds that space from images that the model was trained on, or others like these; labels are not needed. dims
// is its dimension d; 0 means the released code's, 1,000 of 2,048 features or more, 512 of 768 or more, else half of
// them. It holds the features of all images, [N, D] float32, while it fits, and decomposes a matrix [D, D]. It is an
// error if the model names no features, or if its logits are not linear in them.
func FitViM(m *model.Model, known model.Dataset, dims int) (*ViM, error) {
	head, err := m.Head()
	if err != nil {
		return nil, err
	}
	_, wide := head.Weights.Dims()
	if dims == 0 {
		switch {
		case wide >= 2048:
			dims = 1000
		case wide >= 768:
			dims = 512
		default:
			dims = wide / 2
		}
	}
	if dims < 1 || dims >= wide {
		return nil, fmt.Errorf(
			"ood: ViM with a space of %d dimensions among %d features: there are 1 to one less than the features", dims, wide)
	}
	f, err := featuresOf(m, known)
	if err != nil {
		return nil, err
	}
	v := &ViM{m: m, head: head}
	if v.origin, err = origin(head); err != nil {
		return nil, err
	}
	scatter := mat.NewSymDense(wide, nil)
	f.blocks(func(_ int, x *mat.Dense) {
		v.centre(x)
		scatter.SymRankK(scatter, 1, x.T())
	})
	var eigen mat.EigenSym
	if !eigen.Factorize(scatter, true) {
		return nil, fmt.Errorf("ood: the covariance of %d features of %d images has no eigenvectors", f.d, f.n)
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors) // those of the smallest eigenvalues first
	v.rest = mat.DenseCopyOf(vectors.Slice(0, wide, 0, wide-dims))
	highest, outside := 0.0, 0.0
	f.blocks(func(_ int, x *mat.Dense) {
		_, tops := energies(head, x)
		for _, top := range tops {
			highest += top
		}
		for _, norm := range v.outside(x) {
			outside += norm
		}
	})
	v.alpha = highest / outside
	if !(outside > 0) || math.IsInf(v.alpha, 0) {
		return nil, fmt.Errorf("ood: the features of the %d known images lie in %d dimensions: nothing of them lies "+
			"outside, so ViM has no scale; take fewer dimensions", f.n, dims)
	}
	if !(v.alpha > 0) {
		return nil, fmt.Errorf("ood: the highest logit of the known images is %.3g on average, and ViM's scale, which is "+
			"in its proportion, has to be positive", highest/float64(f.n))
	}
	return v, nil
}

// origin is -W⁺ b, the shortest features whose logits lie nearest to 0.
func origin(head *model.Head) ([]float64, error) {
	k, d := head.Weights.Dims()
	var svd mat.SVD
	if !svd.Factorize(head.Weights, mat.SVDThin) {
		return nil, fmt.Errorf("ood: the last layer, [%d, %d], has no singular values", k, d)
	}
	values := svd.Values(nil)
	rank := 0
	for rank < len(values) && values[rank] > float64(max(k, d))*epsilon32*values[0] {
		rank++
	}
	if rank == 0 {
		return make([]float64, d), nil // all weights are 0
	}
	var u mat.Dense
	svd.SolveTo(&u, mat.NewDense(k, 1, head.Bias), rank)
	out := make([]float64, d)
	for j := range out {
		out[j] = -u.At(j, 0)
	}
	return out, nil
}

// epsilon32 is what single precision, in which weights are, adds to 1 at least. Singular values below that share of the
// largest are 0 but for rounding.
const epsilon32 = 0x1p-23

// centre takes u from each row.
func (v *ViM) centre(x *mat.Dense) {
	rows, _ := x.Dims()
	for i := range rows {
		row := x.RawRowView(i)
		for j := range row {
			row[j] -= v.origin[j]
		}
	}
}

// outside is the length of Rᵀ (f - u) of each row f. It overwrites them.
func (v *ViM) outside(x *mat.Dense) []float64 {
	v.centre(x)
	var rest mat.Dense
	rest.Mul(x, v.rest)
	rows, _ := rest.Dims()
	norms := make([]float64, rows)
	for i := range norms {
		norms[i] = mat.Norm(rest.RowView(i), 2)
	}
	return norms
}

// Name is "ViM".
func (*ViM) Name() string { return "ViM" }

func (v *ViM) String() string {
	if v == nil || v.m == nil {
		return errNotFitted.Error()
	}
	wide, outside := v.rest.Dims()
	return fmt.Sprintf("ViM with a space of %d dimensions among %d features of %s, scale %.4g", wide-outside, wide,
		v.m.Name(), v.alpha)
}

// Scores are any numbers: the virtual logit less the logarithm of the others' sum.
func (v *ViM) Scores(ds model.Dataset) ([]float64, error) {
	if v == nil || v.m == nil {
		return nil, errNotFitted
	}
	f, stopped := featuresOf(v.m, ds)
	if f == nil {
		return nil, stopped
	}
	var scores []float64
	f.blocks(func(_ int, x *mat.Dense) {
		energies, _ := energies(v.head, x)
		for i, outside := range v.outside(x) {
			scores = append(scores, v.alpha*outside+energies[i])
		}
	})
	return scores, stopped
}
