package lrp

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/model"
)

// small is a network whose layers are also written as matrices: images 3x3x2, a 2x2 convolution to 3 channels whose
// output is scaled and shifted, ReLU, a dense layer of 5 with a bias, ReLU, and a dense layer of 3 without.
type small struct {
	kernel       []float32 // [2, 2, 2, 3]
	scale, shift []float32 // of the 3 channels
	w1, b1, w2   []float32 // [12, 5], [5], [5, 3]
	layers       []affine
}

// affine is y_j = Σ_i w[j][i] x_i + b[j].
type affine struct {
	w [][]float64
	b []float64
}

var smallMean, smallStd = []float64{0.4, 0.5}, []float64{0.25, 0.2}

func newSmall() *small {
	r := rand.New(rand.NewPCG(3, 4))
	draw := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	s := &small{kernel: draw(24), scale: []float32{1.5, -0.7, 0.4}, shift: draw(3), w1: draw(60), b1: draw(5),
		w2: draw(15)}
	conv := affine{b: make([]float64, 12)}
	for y := range 2 {
		for x := range 2 {
			for o := range 3 {
				row := make([]float64, 18)
				for ky := range 2 {
					for kx := range 2 {
						for i := range 2 {
							row[((y+ky)*3+x+kx)*2+i] = float64(s.kernel[((ky*2+kx)*2+i)*3+o]) * float64(s.scale[o])
						}
					}
				}
				conv.w = append(conv.w, row)
				conv.b[len(conv.w)-1] = float64(s.shift[o])
			}
		}
	}
	s.layers = []affine{conv, dense(s.w1, s.b1, 12, 5), dense(s.w2, make([]float32, 3), 5, 3)}
	return s
}

func dense(w, b []float32, in, out int) affine {
	var a affine
	for j := range out {
		row := make([]float64, in)
		for i := range row {
			row[i] = float64(w[i*out+j])
		}
		a.w, a.b = append(a.w, row), append(a.b, float64(b[j]))
	}
	return a
}

func (s *small) model(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "small", Height: 3, Width: 3, Channels: 2, Mean: smallMean, Std: smallStd},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			constant := func(flat []float32, dims ...int) *graph.Node {
				return graph.ConvertDType(graph.Const(x.Graph(), tensors.FromFlatDataAndDimensions(flat, dims...)), x.DType())
			}
			x = graph.Convolve(x, constant(s.kernel, 2, 2, 2, 3)).NoPadding().Done()
			x = graph.Add(graph.Mul(x, constant(s.scale, 1, 1, 1, 3)), constant(s.shift, 1, 1, 1, 3))
			x = b.Record("conv", graph.Max(x, graph.ZerosLike(x)))
			x = graph.Reshape(x, -1, 12)
			x = graph.Add(graph.Dot(x, constant(s.w1, 12, 5)).Product(), constant(s.b1, 1, 5))
			b.Record("dense", x)
			x = b.Record("hidden", graph.Max(x, graph.ZerosLike(x)))
			return graph.Dot(x, constant(s.w2, 5, 3)).Product()
		})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.Double(); err != nil {
		t.Fatal(err)
	}
	return m
}

// relevance goes back through the matrices. rules are those of the three layers.
func (s *small) relevance(image []float32, class int, rules [3]matrixRule) []float64 {
	x := make([]float64, len(image))
	for i, v := range image {
		x[i] = (float64(v) - smallMean[i%2]) / smallStd[i%2]
	}
	inputs := [][]float64{x}
	for l, a := range s.layers {
		y := a.forward(inputs[l])
		if l < 2 {
			for j := range y {
				y[j] = math.Max(y[j], 0)
			}
		}
		inputs = append(inputs, y)
	}
	r := make([]float64, 3)
	r[class] = inputs[3][class]
	for l := 2; l >= 0; l-- {
		r = rules[l](s.layers[l], inputs[l], r)
	}
	return r
}

func (a affine) forward(x []float64) []float64 {
	y := append([]float64(nil), a.b...)
	for j, row := range a.w {
		for i, w := range row {
			y[j] += w * x[i]
		}
	}
	return y
}

// matrixRule shares out relevance by its definition, one contribution at a time.
type matrixRule func(a affine, x, r []float64) []float64

// byShare is a rule that gives input i of output j its share c(i, j) of Σ_k c(k, j) + d(j).
func byShare(c func(x, w, z float64, i int) float64, d func(b, z float64) float64, epsilon float64) matrixRule {
	return func(a affine, x, r []float64) []float64 {
		out := make([]float64, len(x))
		z := a.forward(x)
		for j, row := range a.w {
			sum := d(a.b[j], z[j])
			for i, w := range row {
				sum += c(x[i], w, z[j], i)
			}
			if sum >= 0 {
				sum += epsilon
			} else {
				sum -= epsilon
			}
			for i, w := range row {
				out[i] += c(x[i], w, z[j], i) / sum * r[j]
			}
		}
		return out
	}
}

func plusPart(v float64) float64  { return math.Max(v, 0) }
func minusPart(v float64) float64 { return math.Min(v, 0) }

func matrixAlphaBeta(alpha, beta float64) matrixRule {
	up := byShare(func(x, w, _ float64, _ int) float64 { return plusPart(x * w) },
		func(b, _ float64) float64 { return plusPart(b) }, 1e-6)
	down := byShare(func(x, w, _ float64, _ int) float64 { return minusPart(x * w) },
		func(b, _ float64) float64 { return minusPart(b) }, 1e-6)
	return func(a affine, x, r []float64) []float64 {
		for1, against := up(a, x, r), down(a, x, r)
		for i := range for1 {
			for1[i] = alpha*for1[i] - beta*against[i]
		}
		return for1
	}
}

func TestRulesInMatrixForm(t *testing.T) {
	s := newSmall()
	m := s.model(t)
	epsilon := func(e float64) matrixRule {
		return byShare(func(x, w, _ float64, _ int) float64 { return x * w }, func(b, _ float64) float64 { return b }, e)
	}
	gamma := func(g float64) matrixRule {
		return byShare(func(x, w, z float64, _ int) float64 {
			if z > 0 == (x*w > 0) {
				return (1 + g) * x * w
			}
			return x * w
		}, func(b, z float64) float64 {
			if z > 0 == (b > 0) {
				return (1 + g) * b
			}
			return b
		}, 1e-6)
	}
	none := func(_, _ float64) float64 { return 0 }
	flat := byShare(func(_, w, _ float64, _ int) float64 {
		if w == 0 {
			return 0 // out of the kernel's sight
		}
		return 1
	}, none, 1e-6)
	square := byShare(func(_, w, _ float64, _ int) float64 { return w * w }, func(b, _ float64) float64 { return b * b },
		1e-6)
	box := byShare(func(x, w, _ float64, i int) float64 {
		low, high := -smallMean[i%2]/smallStd[i%2], (1-smallMean[i%2])/smallStd[i%2]
		return x*w - low*plusPart(w) - high*minusPart(w)
	}, none, 1e-6)
	images := tensors.FromFlatDataAndDimensions(func() []float32 {
		v := make([]float32, 4*18)
		for i := range v {
			v[i] = float32((i*7)%19) / 19
		}
		return v
	}(), 4, 3, 3, 2)
	pixels := tensors.MustCopyFlatData[float32](images)
	same := func(r matrixRule) [3]matrixRule { return [3]matrixRule{r, r, r} }
	for name, c := range map[string]struct {
		composite Composite
		rules     [3]matrixRule
	}{
		"epsilon":   {everywhere(Epsilon{}), same(epsilon(1e-6))},
		"epsilon 3": {everywhere(Epsilon{3}), same(epsilon(3))},
		"z+":        {everywhere(ZPlus{}), same(matrixAlphaBeta(1, 0))},
		"α2β1":      {everywhere(AlphaBeta{}), same(matrixAlphaBeta(2, 1))},
		"α1.5β0.5":  {everywhere(AlphaBeta{Alpha: 1.5, Beta: 0.5}), same(matrixAlphaBeta(1.5, 0.5))},
		"γ":         {everywhere(Gamma{}), same(gamma(0.25))},
		"γ 2":       {everywhere(Gamma{Gamma: 2}), same(gamma(2))},
		"flat":      {everywhere(Flat{}), same(flat)},
		"w²":        {everywhere(WSquare{}), same(square)},
		"box":       {EpsilonGammaBox(), [3]matrixRule{box, epsilon(1e-6), epsilon(1e-6)}},
		"named": {Composite{Convolution: ZPlus{}, Dense: ZPlus{}, Named: map[string]Rule{"dense": Gamma{}}},
			[3]matrixRule{matrixAlphaBeta(1, 0), gamma(0.25), matrixAlphaBeta(1, 0)}},
	} {
		for class := range 3 {
			a, err := LRP{c.composite}.Attribute(m, images, []int{class})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got := tensors.MustCopyFlatData[float32](a.Values)
			var want []float32
			for n := range 4 {
				for _, v := range s.relevance(pixels[n*18:(n+1)*18], class, c.rules) {
					want = append(want, float32(v))
				}
			}
			if e := relativeError(got, want); !(e < 1e-6) {
				t.Errorf("%s, class %d: differs from the matrix form by %.2g", name, class, e)
			}
		}
	}
}

// Without biases nothing is absorbed, so the relevance of the pixels sums to the logit.
func TestConservation(t *testing.T) {
	m := newSmall().model(t)
	images := tensors.FromFlatDataAndDimensions(func() []float32 {
		v := make([]float32, 3*18)
		for i := range v {
			v[i] = float32((i*5)%13) / 13
		}
		return v
	}(), 3, 3, 3, 2)
	for _, c := range Composites() {
		c.ZeroBias = true
		a, err := LRP{c}.Attribute(m, images, []int{1})
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range a.Delta {
			if !approx.Equal(d, 0, 1e-3) {
				t.Errorf("%s: image %d loses %g of its logit", c.Name, i, d)
			}
		}
		c.ZeroBias = false
		if a, err = (LRP{c}).Attribute(m, images, []int{1}); err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(a.Delta[0])+math.Abs(a.Delta[1])+math.Abs(a.Delta[2]) >= 1e-3) {
			t.Errorf("%s: biases absorb nothing: %v", c.Name, a.Delta)
		}
	}
}

func TestBadSettings(t *testing.T) {
	m := newSmall().model(t)
	x := tensors.FromScalarAndDimensions(float32(0.5), 1, 3, 3, 2)
	for says, c := range map[string]Composite{
		"1 more than beta":     everywhere(AlphaBeta{Alpha: 2, Beta: 0.5}),
		"Low below High":       {FirstConvolution: ZBox{Low: 1, High: 0.5}},
		"no layer \"hiden\"":   {Named: map[string]Rule{"hiden": Flat{}}},
		"is never used":        {Named: map[string]Rule{"hidden": Flat{}}},
		"must not be negative": {Convolution: Flat{}, Stabilizer: -1},
		"does not: give it":    {Dense: ZBox{}},
		"Pass needs an input":  {Convolution: Pass{}},
	} {
		_, err := LRP{c}.Attribute(m, x, nil)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "lrp: ") &&
			!strings.HasPrefix(err.Error(), "model: ") {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}
