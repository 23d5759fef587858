package augment

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
)

// The oracle is the authors' program on Pillow: bench/oracles/augmix.py. Its images are those of package perturb.
func golden[T any](t *testing.T, name string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/augmix.npz", name)
}

const perturbed = "../perturb/testdata/corruptions.npz"

// cifar are 20 real images of 32 x 32 pixels in colour.
func cifar(t *testing.T) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(oracle.Unit(oracle.Read[uint8](t, perturbed, "images")), 20, 32, 32, 3)
}

// Every operation is Pillow's, to the bit.
func TestOperationsAgreeWithTheAuthors(t *testing.T) {
	small, large := oracle.Read[uint8](t, perturbed, "images")[:32*32*3], oracle.Read[uint8](t, perturbed, "photograph")
	levels, negative := golden[float64](t, "levels"), golden[int64](t, "negative")
	for _, c := range []struct {
		name       string
		pix        []uint8
		side, step int
	}{{"cifar", small, 32, 1}, {"photograph", large, 224, 8}} {
		want := golden[uint8](t, c.name)
		n := 0
		for _, op := range OperationsAll() {
			for k, level := range levels {
				got := op.apply(picture{slices.Clone(c.pix), c.side, c.side, 3}, level, negative[k] == 1)
				different, most := 0, 0
				for y := 0; y < c.side; y += c.step {
					for x := 0; x < c.side; x += c.step {
						for ch := range 3 {
							if d := int(got.pix[(y*c.side+x)*3+ch]) - int(want[n]); d != 0 {
								different, most = different+1, max(most, d, -d)
							}
							n++
						}
					}
				}
				if different > 0 {
					t.Errorf("%s of the %s at level %g: %d values differ, by up to %d", op.Name, c.name, level, different, most)
				}
			}
		}
		if n != len(want) {
			t.Errorf("%d values, the oracle has %d", n, len(want))
		}
	}
}

// With the operations and weights that the authors' program drew, mixtures are its mixtures to the precision of a sum
// in single precision.
func TestMixturesAgreeWithTheAuthors(t *testing.T) {
	images := tensors.MustCopyFlatData[float32](cifar(t))
	weights, share, ops := golden[float64](t, "weights"), golden[float64](t, "share"), golden[int64](t, "ops")
	levels, negative, want := golden[float64](t, "level"), golden[int64](t, "negative_step"), golden[float32](t, "mixed")
	const size = 32 * 32 * 3
	all := OperationsAll()
	for i := range 6 {
		m := mixture{share: float32(share[i])}
		for c := range 3 {
			m.weights = append(m.weights, float32(weights[3*i+c]))
			var chain []step
			for k := range 3 {
				if at := 9*i + 3*c + k; ops[at] >= 0 {
					chain = append(chain, step{all[ops[at]], levels[at], negative[at] == 1})
				}
			}
			m.chains = append(m.chains, chain)
		}
		image := slices.Clone(images[(i+1)*size : (i+2)*size])
		m.mix(image, 32, 32, 3)
		if worst, _ := oracle.Difference(image, want[i*size:(i+1)*size]); !approx.Equal(worst, 0, 1e-6) {
			t.Errorf("mixture %d differs by %g", i, worst)
		}
	}
}

// What is drawn has the paper's distributions.
func TestMixturesAreDrawnAsInThePaper(t *testing.T) {
	a := AugMix{}.filled()
	const n = 20000
	var share, square, first, squareFirst float64
	depths, names := map[int]int{}, map[string]int{}
	var highest, least float64 = 0, 1
	negatives, signed := 0, 0
	for i := range uint64(n) {
		m := a.draw(rand.New(rand.NewPCG(1, i)))
		share, square = share+float64(m.share), square+float64(m.share)*float64(m.share)
		first, squareFirst = first+float64(m.weights[0]), squareFirst+float64(m.weights[0])*float64(m.weights[0])
		if sum := m.weights[0] + m.weights[1] + m.weights[2]; !approx.Equal(sum, 1, 1e-6) || len(m.chains) != 3 {
			t.Fatalf("%d chains whose weights are %v", len(m.chains), m.weights)
		}
		for _, chain := range m.chains {
			depths[len(chain)]++
			for _, s := range chain {
				names[s.Name]++
				if s.levelled {
					highest, least = max(highest, s.level), min(least, s.level)
				}
				if s.Operation.signed {
					signed++
					if s.negative {
						negatives++
					}
				}
			}
		}
	}
	// Uniform on 0..1, and a Beta(1, 2) of mean 1/3 and variance 1/18: five standard errors.
	for what, v := range map[string][2]float64{
		"the mean share": {share / n, 1. / 2}, "the mean square of the share": {square / n, 1. / 3},
		"the mean weight": {first / n, 1. / 3}, "the mean square of the weight": {squareFirst / n, 1. / 6},
		"the share of one operation":    {float64(depths[1]) / (3 * n), 1. / 3},
		"the share of three operations": {float64(depths[3]) / (3 * n), 1. / 3},
		"negative":                      {float64(negatives) / float64(signed), 1. / 2},
	} {
		if !approx.Equal(v[0], v[1], 0.0108) {
			t.Errorf("%s is %.4f, want %.4f", what, v[0], v[1])
		}
	}
	if len(names) != 9 || names["color"] > 0 || len(depths) != 3 || !(highest >= 2.99) || !(highest <= 3) ||
		!(least >= .1) || !(least <= .11) {
		t.Errorf("operations %v, depths %v, levels %g to %g", names, depths, least, highest)
	}
}

// With another Alpha the share is a Beta(α, α), and a chain's weight of three a Beta(α, 2α), whose variances
// scipy.stats.beta gives; 20,000 draws tell them to a fiftieth.
func TestAlphaSpreadsSharesAndWeights(t *testing.T) {
	for alpha, want := range map[float64][2]float64{4: {0.027777777777777776, 0.017094017094017096},
		0.25: {0.16666666666666666, 0.12698412698412698}} {
		a := AugMix{Alpha: alpha}.filled()
		const n = 20000
		var shares, weights []float64
		for i := range uint64(n) {
			m := a.draw(rand.New(rand.NewPCG(2, i)))
			shares, weights = append(shares, float64(m.share)), append(weights, float64(m.weights[0]))
		}
		if got := stat.PopVariance(shares, nil); !approx.Equal(got/want[0], 1, 0.05) {
			t.Errorf("α %v: the variance of the share is %v, want %v", alpha, got, want[0])
		}
		if got := stat.PopVariance(weights, nil); !approx.Equal(got/want[1], 1, 0.05) {
			t.Errorf("α %v: the variance of a weight is %v, want %v", alpha, got, want[1])
		}
	}
}

func TestAugMixIsTheSameForTheSameSeed(t *testing.T) {
	images := cifar(t)
	all := AugMix{Operations: OperationsAll()}
	first, err := all.Apply(images, 7)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := all.Apply(images, 7)
	other, _ := all.Apply(images, 8)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	alone, _ := all.Apply(images, 7)
	if !first.Equal(again) || !first.Equal(alone) || first.Equal(other) {
		t.Error("images do not depend on the seed alone")
	}
	for i, v := range tensors.MustCopyFlatData[float32](first) {
		if !(v >= 0 && v <= 1.000001) {
			t.Fatalf("value %d is %v", i, v)
		}
	}
	// A part of the set by its numbers.
	const size = 32 * 32 * 3
	numbers := []int{11, 3}
	part := append(slices.Clone(tensors.MustCopyFlatData[float32](images)[11*size:12*size]),
		tensors.MustCopyFlatData[float32](images)[3*size:4*size]...)
	got, err := all.ApplyNumbered(tensors.FromFlatDataAndDimensions(part, 2, 32, 32, 3), numbers, 7)
	if err != nil {
		t.Fatal(err)
	}
	for k, number := range numbers {
		if !slices.Equal(tensors.MustCopyFlatData[float32](got)[k*size:(k+1)*size],
			tensors.MustCopyFlatData[float32](first)[number*size:(number+1)*size]) {
			t.Errorf("image %d is another as number %d", k, number)
		}
	}
}

// Grey images, oblong ones, one pixel, more channels than colours.
func TestAugMixOfOtherImages(t *testing.T) {
	for _, d := range [][3]int{{1, 1, 1}, {28, 28, 1}, {5, 70, 3}, {70, 5, 3}, {2, 3, 5}} {
		values := make([]float32, d[0]*d[1]*d[2])
		for i := range values {
			values[i] = float32(i%97) / 96
		}
		images := tensors.FromFlatDataAndDimensions(values, 1, d[0], d[1], d[2])
		ops := OperationsAll()
		if d[2] == 5 {
			ops = nil
		}
		for seed := range uint64(20) {
			if _, err := (AugMix{Operations: ops, Severity: 10, Width: 1, Depth: 4, Alpha: .2}).Apply(images, seed); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A colour image of three equal channels becomes one again, and is what the grey image becomes.
	one, three := make([]uint8, 28*28), make([]uint8, 28*28*3)
	for i := range one {
		one[i] = uint8(i * 7)
		three[3*i], three[3*i+1], three[3*i+2] = one[i], one[i], one[i]
	}
	for _, op := range OperationsAll() {
		a, b := op.apply(picture{slices.Clone(one), 28, 28, 1}, 2.5, true),
			op.apply(picture{slices.Clone(three), 28, 28, 3}, 2.5, true)
		for i, v := range a.pix {
			if b.pix[3*i] != v || b.pix[3*i+2] != v {
				t.Errorf("%s: pixel %d is %d in grey and %v in colour", op.Name, i, v, b.pix[3*i:3*i+3])
				break
			}
		}
	}
}

// An operation alone leaves the original's place in the mixture out.
func TestOperationAlone(t *testing.T) {
	images := cifar(t)
	for _, op := range OperationsAll() {
		got, err := op.Apply(images, 10, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got.Equal(images) {
			t.Errorf("%s changes nothing", op.Name)
		}
	}
}

func TestInterruptedAugMixKeepsWhatIsDone(t *testing.T) {
	flat := make([]float32, 64*8*8*3)
	images := tensors.FromFlatDataAndDimensions(flat, 64, 8, 8, 3)
	testenv.Interrupt(t, func() (*tensors.Tensor, error) { return AugMix{}.Apply(images, 1) },
		func(x *tensors.Tensor) int {
			if x == nil {
				return 0
			}
			return x.Shape().Dimensions[0]
		})
}

func TestAugMixNamesWhatIsWrong(t *testing.T) {
	images := cifar(t)
	of := func(a AugMix) error { _, err := a.Apply(images, 0); return err }
	two := tensors.FromFlatDataAndDimensions(make([]float32, 8), 1, 2, 2, 2)
	for want, err := range map[string]error{
		"severity is 11":         of(AugMix{Severity: 11}),
		"mixture of -1 chains":   of(AugMix{Width: -1}),
		"chains of -1":           of(AugMix{Depth: -1}),
		"Alpha is -1":            of(AugMix{Alpha: -1}),
		"no operations":          of(AugMix{Operations: []Operation{}}),
		"is empty":               of(AugMix{Operations: make([]Operation, 1)}),
		"1 channel or 3, not 2":  func() error { _, err := AugMix{Operations: OperationsAll()}.Apply(two, 0); return err }(),
		"20 images have 1 ":      func() error { _, err := AugMix{}.ApplyNumbered(images, []int{1}, 0); return err }(),
		"the images are nil":     func() error { _, err := AugMix{}.Apply(nil, 0); return err }(),
		"this Operation is empt": func() error { _, err := Operation{}.Apply(images, 3, 0); return err }(),
		"severity is 0":          func() error { _, err := Operations()[0].Apply(images, 0, 0); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want one that says %q", err, want)
		}
	}
}

func BenchmarkAugMix(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	flat := make([]float32, 128*32*32*3)
	for i := range flat {
		flat[i] = r.Float32()
	}
	images := tensors.FromFlatDataAndDimensions(flat, 128, 32, 32, 3)
	for b.Loop() {
		if _, err := (AugMix{}).Apply(images, 1); err != nil {
			b.Fatal(err)
		}
	}
}
