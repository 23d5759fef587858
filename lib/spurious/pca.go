package spurious

import (
	"fmt"
	"sort"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/lib/model"
)

// Components are the principal components of what the images of a class have in the last linear layer. Component l of
// an image x adds
//
//	α_l(x) = ⟨ψ(x) - ψ̄, v_l⟩ · Σ_j v_lj,  ψ(x) = φ(x) ⊙ w_k
//
// to the class's logit: over all components the α of an image sum to its logit less the mean logit of the class's
// images. The factor Σ_j v_lj makes α independent of the sign of v_l. Neuhaus et al., section 3.
//
// Fewer images than features leave directions in which they do not differ. What an image that is not among them has
// there belongs to no component.
type Components struct {
	Class     int
	ClassName string
	Mean      []float64  // ψ̄, [D]
	Variances []float64  // of ψ along each component, with n-1, largest first, [L]
	Vectors   *mat.Dense // v_l in the columns, [D, L]
	Alphas    *mat.Dense // α of the images that the components were made of, [N, L]

	head *model.Head
}

// ClassPCA makes the components of a class from images of it, a dataset of at least two that the model takes. There are
// as many as images less one, or as features if these are fewer.
func ClassPCA(m *model.Model, ds model.Dataset, class int) (*Components, error) {
	head, err := m.Head()
	if err != nil {
		return nil, err
	}
	features, err := Features(m, ds)
	if err != nil {
		return nil, err
	}
	c, err := ComponentsOf(features, head, class)
	if err != nil {
		return nil, err
	}
	c.ClassName = m.ClassName(class)
	return c, nil
}

// ComponentsOf is [ClassPCA] of features, [N, D], that have been computed before.
func ComponentsOf(features *mat.Dense, head *model.Head, class int) (*Components, error) {
	if err := check(features, head, class); err != nil {
		return nil, err
	}
	n, d := features.Dims()
	if n < 2 {
		return nil, fmt.Errorf("spurious: components need two images of the class, and there is %d", n)
	}
	psi := weighted(features, head, class)
	c := &Components{Class: class, Mean: make([]float64, d), head: head}
	for j := range d {
		c.Mean[j] = stat.Mean(mat.Col(nil, j, psi), nil)
	}
	var pc stat.PC
	if !pc.PrincipalComponents(psi, nil) {
		return nil, fmt.Errorf("spurious: the principal components of class %d do not converge", class)
	}
	var vectors mat.Dense
	pc.VectorsTo(&vectors)
	c.Variances = pc.VarsTo(nil)
	l := min(n-1, d)
	c.Variances = c.Variances[:l]
	c.Vectors = mat.DenseCopyOf(vectors.Slice(0, d, 0, l))
	c.Alphas = c.alphas(psi)
	return c, nil
}

// Len is the number of components.
func (c *Components) Len() int { return len(c.Variances) }

// factors are Σ_j v_lj.
func (c *Components) factors() []float64 {
	sums := make([]float64, c.Len())
	for l := range sums {
		sums[l] = mat.Sum(c.Vectors.ColView(l))
	}
	return sums
}

// alphas are the contributions of components to images with weighted features psi, [N, L].
func (c *Components) alphas(psi *mat.Dense) *mat.Dense {
	var centred, out mat.Dense
	centred.Apply(func(_, j int, v float64) float64 { return v - c.Mean[j] }, psi)
	out.Mul(&centred, c.Vectors)
	factors := c.factors()
	out.Apply(func(_, l int, v float64) float64 { return v * factors[l] }, &out)
	return &out
}

// Of returns α of other images, of any class, from their features [N, D]: [N, L].
func (c *Components) Of(features *mat.Dense) (*mat.Dense, error) {
	if err := check(features, c.head, c.Class); err != nil {
		return nil, err
	}
	return c.alphas(weighted(features, c.head, c.Class)), nil
}

// LeftOut is what the α of images leave out of their logits, from the features [N, D]: for each image its logit less
// the mean logit of those that the components were made of, less the sum of its α over all components, [N]. It is 0,
// but for rounding, for these images themselves; for others it is what they have where these do not differ.
func (c *Components) LeftOut(features *mat.Dense) ([]float64, error) {
	alphas, err := c.Of(features)
	if err != nil {
		return nil, err
	}
	mean := 0.0
	for _, v := range c.Mean {
		mean += v
	}
	psi := weighted(features, c.head, c.Class)
	n, _ := psi.Dims()
	left := make([]float64, n)
	for i := range left {
		left[i] = mat.Sum(psi.RowView(i)) - mean - mat.Sum(alphas.RowView(i))
	}
	return left, nil
}

// Top returns the numbers of the k images that have most of a component, most first; of equal ones the earlier.
func (c *Components) Top(component, k int) []int {
	return top(mat.Col(nil, component, c.Alphas), k)
}

// top returns the places of the k largest values.
func top(values []float64, k int) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return values[order[a]] > values[order[b]] })
	return order[:min(k, len(order))]
}

// Model returns a model whose outputs are α of the first few components, in place of logits: methods of attribution
// then show where in an image a component is, and attacks put it there.
func (c *Components) Model(m *model.Model, components int) (*model.Model, error) {
	if components < 1 || components > c.Len() {
		return nil, fmt.Errorf("spurious: class %d has the components 1 to %d, not %d of them", c.Class, c.Len(), components)
	}
	d, _ := c.Vectors.Dims()
	names := make([]string, components)
	for l := range names {
		names[l] = fmt.Sprintf("component %d", l+1)
	}
	factors := c.factors()
	scaled := mat.DenseCopyOf(c.Vectors.Slice(0, d, 0, components))
	scaled.Apply(func(_, l int, v float64) float64 { return v * factors[l] }, scaled)
	more := map[string]*tensors.Tensor{
		"class PCA/weights": vector(c.head.Weights.RawRowView(c.Class)),
		"class PCA/mean":    vector(c.Mean),
		"class PCA/vectors": tensor(scaled),
	}
	name := fmt.Sprintf("components of %s in %s", m.ClassName(c.Class), m.Name())
	return m.Extend(name, names, more, func(b *model.Builder, out model.Outputs) *graph.Node {
		psi := graph.Mul(flat(out.Features), graph.ExpandAxes(b.Weight("class PCA/weights"), 0))
		centred := graph.Sub(psi, graph.ExpandAxes(b.Weight("class PCA/mean"), 0))
		return graph.Einsum("nd,dl->nl", centred, b.Weight("class PCA/vectors"))
	})
}

// flat views features as [N, D].
func flat(features *graph.Node) *graph.Node {
	return graph.Reshape(features, features.Shape().Dimensions[0], -1)
}
