package distill

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// LinearCKA is the centred kernel alignment of two representations of the same N images, X [N, ...] and Y [N, ...]
// float32, with what follows N flattened:
//
//	‖Yᵀ X‖² / (‖Xᵀ X‖ ‖Yᵀ Y‖)
//
// of X and Y less the mean of each column, in Frobenius norms: from 0 to 1, which it is where one is the other turned
// and scaled. Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network Representations Revisited", ICML 2019,
// section 3. It is an error if one does not vary over the images.
func LinearCKA(x, y *tensors.Tensor) (float64, error) {
	a, b, err := twoMatrices(x, y)
	if err != nil {
		return 0, err
	}
	n, dx := a.Dims()
	_, dy := b.Dims()
	if max(dx, dy) > n { // the same by the Gram matrices, which are smaller
		return alignment(gram(a), gram(b))
	}
	centreColumns(a)
	centreColumns(b)
	cross, own, other := product(a, b), product(a, a), product(b, b)
	return aligned(square(cross), math.Sqrt(square(own)), math.Sqrt(square(other)))
}

// KernelCKA is [LinearCKA] with the Gaussian kernel exp(-d²/2σ²) in the place of the inner product. σ² is the median
// of the squared distances d² that are not 0, of each representation by itself, as in the released program. It takes
// memory for N² numbers.
func KernelCKA(x, y *tensors.Tensor) (float64, error) {
	a, b, err := twoMatrices(x, y)
	if err != nil {
		return 0, err
	}
	return kernelAlignment(a, b)
}

func kernelAlignment(a, b *mat.Dense) (float64, error) {
	first, err := gaussian(a)
	if err != nil {
		return 0, err
	}
	second, err := gaussian(b)
	if err != nil {
		return 0, err
	}
	return alignment(first, second)
}

// ReleasedCKA is what the released program calls the CKA of two blocks' activations, [N, H, W, C] float32 of one N and
// W: it means to average over the places of an image, but averages over channels and rows and then compares the W
// columns of places, each described by its value in the N images, by [KernelCKA]. (The program does so in each batch
// and averages.)
func ReleasedCKA(x, y *tensors.Tensor) (float64, error) {
	a, err := columnMeans(x)
	if err != nil {
		return 0, err
	}
	b, err := columnMeans(y)
	if err != nil {
		return 0, err
	}
	if n, m := a.RawMatrix(), b.RawMatrix(); n.Rows != m.Rows || n.Cols != m.Cols {
		return 0, fmt.Errorf("distill: activations of %d images %d wide, and of %d images %d wide", n.Cols, n.Rows,
			m.Cols, m.Rows)
	}
	return kernelAlignment(a, b)
}

// columnMeans are the means over H and C of [N, H, W, C], as [W, N].
func columnMeans(x *tensors.Tensor) (*mat.Dense, error) {
	if x == nil || x.CheckValid() != nil || x.Rank() != 4 || x.DType() != dtypes.Float32 || x.Shape().Size() == 0 {
		return nil, fmt.Errorf("distill: activations are a tensor [N, H, W, C] float32")
	}
	flat, err := values(x)
	if err != nil {
		return nil, err
	}
	d := x.Shape().Dimensions
	means := mat.NewDense(d[2], d[0], nil)
	for i, v := range flat {
		n, w := i/(d[1]*d[2]*d[3]), i/d[3]%d[2]
		means.Set(w, n, means.At(w, n)+v/float64(d[1]*d[3]))
	}
	return means, nil
}

func values(x *tensors.Tensor) ([]float64, error) {
	flat, err := tensors.CopyFlatData[float32](x)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	out := make([]float64, len(flat))
	for i, v := range flat {
		if v-v != 0 {
			return nil, fmt.Errorf("distill: value %d of the activations is %v", i, v)
		}
		out[i] = float64(v)
	}
	return out, nil
}

func twoMatrices(x, y *tensors.Tensor) (a, b *mat.Dense, err error) {
	for i, t := range []*tensors.Tensor{x, y} {
		if t == nil || t.CheckValid() != nil || t.Rank() < 2 || t.DType() != dtypes.Float32 || t.Shape().Size() == 0 {
			return nil, nil, fmt.Errorf("distill: a representation is a tensor [N, ...] float32")
		}
		flat, err := values(t)
		if err != nil {
			return nil, nil, err
		}
		n := t.Shape().Dimensions[0]
		m := mat.NewDense(n, len(flat)/n, flat)
		if i == 0 {
			a = m
		} else {
			b = m
		}
	}
	if n, m := x.Shape().Dimensions[0], y.Shape().Dimensions[0]; n != m || n < 2 {
		return nil, nil,
			fmt.Errorf("distill: representations of %d and of %d images: they are of the same images, two or more", n, m)
	}
	return a, b, nil
}

func centreColumns(m *mat.Dense) {
	n, d := m.Dims()
	for c := range d {
		sum := 0.0
		for r := range n {
			sum += m.At(r, c)
		}
		for r := range n {
			m.Set(r, c, m.At(r, c)-sum/float64(n))
		}
	}
}

func product(a, b *mat.Dense) *mat.Dense {
	var p mat.Dense
	p.Mul(a.T(), b)
	return &p
}

func gram(a *mat.Dense) *mat.Dense {
	var g mat.Dense
	g.Mul(a, a.T())
	return &g
}

// square is the square of the Frobenius norm.
func square(m *mat.Dense) float64 {
	sum := 0.0
	for _, v := range m.RawMatrix().Data {
		sum += v * v
	}
	return sum
}

// gaussian is the kernel's matrix of the rows of a.
func gaussian(a *mat.Dense) (*mat.Dense, error) {
	k := gram(a)
	n, _ := k.Dims()
	diagonal := make([]float64, n)
	for i := range n {
		diagonal[i] = k.At(i, i)
	}
	var apart []float64
	for i := range n {
		for j := range n {
			d := diagonal[i] + diagonal[j] - 2*k.At(i, j)
			if i == j {
				d = 0
			}
			k.Set(i, j, max(d, 0))
			if d > 0 {
				apart = append(apart, d)
			}
		}
	}
	if len(apart) == 0 {
		return nil, errConstant
	}
	slices.Sort(apart)
	median := (apart[(len(apart)-1)/2] + apart[len(apart)/2]) / 2
	k.Apply(func(_, _ int, d float64) float64 { return math.Exp(-d / (2 * median)) }, k)
	return k, nil
}

var errConstant = fmt.Errorf("distill: a representation does not vary over the images: it has no alignment")

// alignment is that of two kernels' matrices, [N, N].
func alignment(k, l *mat.Dense) (float64, error) {
	for _, m := range []*mat.Dense{k, l} {
		centreColumns(m)
		t := mat.DenseCopyOf(m.T())
		centreColumns(t)
		m.Copy(t.T())
	}
	dot := 0.0
	for i, v := range k.RawMatrix().Data {
		dot += v * l.RawMatrix().Data[i]
	}
	return aligned(dot, math.Sqrt(square(k)), math.Sqrt(square(l)))
}

func aligned(both, one, other float64) (float64, error) {
	if !(one > 0 && other > 0) {
		return 0, errConstant
	}
	return both / (one * other), nil
}

// LayerCKA is the alignment of a layer in two networks.
type LayerCKA struct {
	Layer string  `display:"layer"`
	CKA   float64 `display:"linear CKA"`
}

// Alignment is how alike two networks represent images, layer by layer. It shows itself as a table.
type Alignment []LayerCKA

// Align is the [LinearCKA] of layers in two networks, by the name that both have for each, such as "layer1", "layer2",
// "layer3" of a PreResNet's stages; none means all that both name. Layers with places are averaged over these first, as
// the paper's program means to. images are [N, H, W, C] float32 in 0..1.
func Align(teacher, student *model.Model, images *tensors.Tensor, layers ...string) (Alignment, error) {
	if teacher == nil || student == nil {
		return nil, fmt.Errorf("distill: a teacher or a student is missing: it is nil")
	}
	if len(layers) == 0 {
		for _, l := range teacher.Layers() {
			if student.CheckLayer(l.Name) == nil {
				layers = append(layers, l.Name)
			}
		}
		if len(layers) == 0 {
			return nil, fmt.Errorf("distill: %s and %s name no layer alike", teacher.Name(), student.Name())
		}
	}
	first, err := pooled(teacher, images, layers)
	if err != nil {
		return nil, err
	}
	second, err := pooled(student, images, layers)
	if err != nil {
		return nil, err
	}
	all := make(Alignment, len(layers))
	for i, name := range layers {
		cka, err := LinearCKA(first[i], second[i])
		if err != nil {
			return nil, fmt.Errorf("%w (layer %s)", err, name)
		}
		all[i] = LayerCKA{name, cka}
	}
	return all, nil
}

// pooledKey is the key of the program of pooled activations.
type pooledKey struct{ layers string }

// pooled are layers' activations for each image, averaged over the places, [N, D].
func pooled(m *model.Model, images *tensors.Tensor, layers []string) ([]*tensors.Tensor, error) {
	layouts := make([]model.Layout, len(layers))
	for i, name := range layers {
		layer, err := m.Layer(name)
		if err != nil {
			return nil, err
		}
		layouts[i] = layer.Layout
	}
	names := slices.Clone(layers)
	return m.Map("activations", pooledKey{strings.Join(names, "\n")}, func(in []*graph.Node) []*graph.Node {
		out := m.Call(in[0])
		means := make([]*graph.Node, len(names))
		for i, name := range names {
			x := out.Activations[name]
			if layouts[i] != model.NotSpatial {
				x = graph.ReduceMean(layouts[i].ToChannelsLast(x), 1, 2)
			}
			means[i] = graph.ConvertDType(graph.Reshape(x, x.Shape().Dimensions[0], -1), dtypes.Float32)
		}
		return means
	}, images)
}

// Table has a row for each layer.
func (a Alignment) Table() (table.Table, error) { return table.Of([]LayerCKA(a)) }

// Bundle shows the table.
func (a Alignment) Bundle() mime.Bundle { return table.Shown(a.Table()) }

// Plot is the alignment from layer to layer.
func (a Alignment) Plot() display.Lines {
	s := display.Series{Name: "teacher and student"}
	lines := display.Lines{Title: "How alike two networks represent images", Y: "linear CKA", YMin: 0, YMax: 1}
	for i, l := range a {
		s.X, s.Y = append(s.X, float64(i)), append(s.Y, l.CKA)
		lines.Names = append(lines.Names, l.Layer)
	}
	lines.Series = []display.Series{s}
	return lines
}
