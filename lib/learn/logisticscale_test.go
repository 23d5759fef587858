package learn

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/model"
)

// problem is one of random features of several sizes, whose means are not 0.
func problem(t *testing.T, n, d, classes int) (*logisticProblem, *mat.Dense) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	flat, wide, labels := make([]float32, n*d), make([]float64, n*d), make([]int, n)
	for i := range flat {
		flat[i] = float32(1 + rng.NormFloat64()*(1+float64(i%d%3)))
		wide[i] = float64(flat[i])
	}
	for i := range labels {
		labels[i] = i % classes
	}
	p, err := newLogisticProblem(tensors.FromFlatDataAndDimensions(flat, n, d), labels, classes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.free)
	return p, mat.NewDense(n, d, wide)
}

// gonum's covariance, of every k-th image where there are 3k for each feature or more, with the mean of all. 1,100
// images of which all count are more than one part.
func TestTheCovarianceIsGonums(t *testing.T) {
	for _, c := range []struct{ n, d, step int }{{5, 2, 1}, {12, 2, 2}, {11, 2, 1}, {37, 4, 3}, {1100, 350, 1}} {
		p, features := problem(t, c.n, c.d, 2)
		if err := p.cover(); err != nil {
			t.Fatal(err)
		}
		means := make([]float64, c.d)
		for j := range means {
			means[j] = stat.Mean(mat.Col(nil, j, features), nil)
		}
		var centred []float64
		for i := 0; i < c.n; i += c.step {
			for j := range c.d {
				centred = append(centred, features.At(i, j)-means[j])
			}
		}
		rows := len(centred) / c.d
		chosen := mat.NewDense(rows, c.d, centred)
		var want mat.Dense
		want.Mul(chosen.T(), chosen)
		want.Scale(1/float64(rows), &want)
		if err := approx.All(p.covariance, want.RawMatrix().Data, 1e-4); err != nil {
			t.Errorf("of %d images with %d features: %v", c.n, c.d, err)
		}
	}
}

// L⁻¹ M L⁻ᵀ is the identity, M = s·covariance with max(λ/n, a millionth of the largest variance) on its diagonal.
func TestTheScaleInvertsTheRoot(t *testing.T) {
	for _, c := range []struct{ lambda, s float64 }{{0, 0.2}, {3, 0.25}, {1000, 0.05}} {
		p, _ := problem(t, 40, 3, 2)
		if err := p.rescale(c.lambda, c.s); err != nil {
			t.Fatal(err)
		}
		m := mat.NewDense(3, 3, nil)
		largest := 0.0
		for i, v := range p.covariance {
			m.Set(i/3, i%3, c.s*float64(v))
		}
		for i := range 3 {
			largest = max(largest, m.At(i, i))
		}
		for i := range 3 {
			m.Set(i, i, m.At(i, i)+max(c.lambda/40, 1e-6*largest))
		}
		inverse := mat.NewDense(3, 3, wide(tensors.MustCopyFlatData[float32](p.scale.inverse)))
		transposed := mat.NewDense(3, 3, wide(tensors.MustCopyFlatData[float32](p.scale.transposed)))
		if !mat.Equal(inverse.T(), transposed) {
			t.Errorf("%v is not the transpose of %v", transposed, inverse)
		}
		var left, whole mat.Dense
		left.Mul(inverse, m)
		whole.Mul(&left, inverse.T())
		if err := approx.All(whole.RawMatrix().Data, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}, 1e-4); err != nil {
			t.Errorf("λ %v: %v", c.lambda, err)
		}
		if p.scale.ratio != c.lambda/c.s || !approx.Equal(p.unit(), 1/math.Sqrt(c.s), 1e-12) {
			t.Errorf("the ratio is %v and the unit %v", p.scale.ratio, p.unit())
		}
	}
	// Features that never change have a scale too.
	same, err := newLogisticProblem(tensors.FromFlatDataAndDimensions([]float32{2, 3, 2, 3}, 2, 2), []int{0, 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer same.free()
	if err := same.rescale(0, 0.25); err != nil {
		t.Fatal(err)
	}
	if err := approx.All(tensors.MustCopyFlatData[float32](same.scale.inverse), []float64{1, 0, 0, 1}, 1e-6); err != nil {
		t.Error(err)
	}
}

// A scale is for eight times as large a λ/s or as small a one, and worth its making for five λ or more, or up to eight
// features a class, of 4,096 at most.
func TestWhenAScaleIsWorthItsMaking(t *testing.T) {
	if two, ten := evenSpread(2), evenSpread(10); two != 0.25 || !approx.Equal(ten, 0.09, 1e-15) {
		t.Errorf("where no class is likelier than another p(1-p) is %v of two and %v of ten", two, ten)
	}
	s := &logisticScale{ratio: 2}
	for ratio, stale := range map[float64]bool{2: false, 15.9: false, 16.1: true, 0.251: false, 0.249: true} {
		if s.stale(ratio) != stale {
			t.Errorf("at the ratio %v it is stale: %v", ratio, !stale)
		}
	}
	for _, c := range []struct {
		inputs, classes, lambdas int
		worth                    bool
	}{{80, 10, 1, true}, {81, 10, 1, false}, {81, 10, 4, false}, {81, 10, 5, true}, {4096, 10, 5, true},
		{4097, 10, 5, false}, {4096, 512, 1, true}, {4097, 1000, 1, false}} {
		if got := (&logisticProblem{inputs: c.inputs, classes: c.classes}).worthScaling(c.lambdas); got != c.worth {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Each variable's derivative is the difference of the objective's values around it, on a scale and without, in both
// precisions; the objective is the formula of LogisticRegression, written out; and the variables of a head are its own.
func TestTheObjectiveAndItsGradient(t *testing.T) {
	const n, d, k, lambda = 30, 3, 3, 2.0
	head := &model.Head{Weights: mat.NewDense(k, d, []float64{0.5, -0.25, 0.125, 0, 1, -0.5, 0.25, 0.25, -1}),
		Bias: []float64{0.5, -0.25, 0}}
	for _, scaled := range []bool{false, true} {
		p, features := problem(t, n, d, k)
		if scaled {
			if err := p.rescale(lambda, 0.2); err != nil {
				t.Fatal(err)
			}
		}
		var loss, spread float64
		for i := range n {
			logits := make([]float64, k)
			var norm float64
			for c := range logits {
				logits[c] = mat.Dot(head.Weights.RowView(c), features.RowView(i)) + head.Bias[c]
				norm += math.Exp(logits[c])
			}
			loss -= logits[i%k] - math.Log(norm)
			for _, z := range logits {
				q := math.Exp(z) / norm
				spread += q * (1 - q) / (n * k)
			}
		}
		norm := mat.Norm(head.Weights, 2)
		for _, precision := range []dtypes.DType{dtypes.Float32, dtypes.Float64} {
			within := map[dtypes.DType]float64{dtypes.Float32: 1e-4, dtypes.Float64: 1e-7}[precision]
			if scaled {
				within = max(within, 1e-5) // which is in single precision
			}
			o := &objective{problem: p, lambda: lambda, precision: precision}
			at := p.variables(head)
			if o.evaluate(at); o.err != nil {
				t.Fatal(o.err)
			}
			if !approx.Equal(o.loss, loss, n*within) || !approx.Equal(o.value, (loss+lambda/2*norm*norm)/n, within) ||
				!approx.Equal(o.spread, spread, within) {
				t.Errorf("scaled %v, %v: the loss is %v, the value %v and the spread %v, want %v, %v and %v", scaled, precision,
					o.loss, o.value, o.spread, loss, (loss+lambda/2*norm*norm)/n, spread)
			}
			back := o.head()
			if err := approx.All(append(back.Weights.RawMatrix().Data, back.Bias...),
				append(append([]float64(nil), head.Weights.RawMatrix().Data...), head.Bias...), within); err != nil {
				t.Errorf("scaled %v, %v: the head: %v", scaled, precision, err)
			}
			gradient := append([]float64(nil), o.gradient...)
			largest := 0.0
			fine := &objective{problem: p, lambda: lambda, precision: dtypes.Float64}
			for v := range at {
				const h = 1e-4
				value := func(by float64) float64 {
					x := append([]float64(nil), at...)
					x[v] += by
					if fine.evaluate(x); fine.err != nil {
						t.Fatal(fine.err)
					}
					return fine.value
				}
				if want := (value(h) - value(-h)) / (2 * h); !approx.Equal(gradient[v], want, max(within, 1e-6)) {
					t.Errorf("scaled %v, %v: the derivative by variable %d is %v, want %v", scaled, precision, v, gradient[v], want)
				}
			}
			// The largest derivative is by the weights and biases themselves, less what the penalty is of.
			plain, _ := problem(t, n, d, k)
			by := &objective{problem: plain, lambda: lambda, precision: dtypes.Float64}
			plain.mean = make([]float64, d)
			if by.evaluate(plain.variables(head)); by.err != nil {
				t.Fatal(by.err)
			}
			for _, g := range by.gradient {
				largest = max(largest, math.Abs(g))
			}
			if !approx.Equal(o.largest, largest, max(within, 1e-6)) {
				t.Errorf("scaled %v, %v: the largest derivative is %v, want %v", scaled, precision, o.largest, largest)
			}
		}
	}
}
