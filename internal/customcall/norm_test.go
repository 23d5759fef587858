package customcall_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/lib/backend"
)

// norm is a normalisation, and how far from 0 its values are.
type norm struct {
	customcall.Norm
	far float64
}

// normResults are all that loupe computes of one.
type normResults struct{ mean, variance, y, dx, dscale, doffset []float32 }

func (n norm) groups() int {
	if n.Groups == 0 {
		return n.X[3]
	}
	return n.Groups
}

// random are values, scale, offset and the gradient by the result.
func (n norm) random(seed uint64) (x, scale, offset, d []float32) {
	r := rand.New(rand.NewPCG(seed, 2))
	numbers := func(size int, far float64) []float32 {
		v := make([]float32, size)
		for i := range v {
			v[i] = float32(far + r.NormFloat64())
		}
		return v
	}
	size := n.X[0] * n.X[1] * n.X[2] * n.X[3]
	return numbers(size, n.far), numbers(n.X[3], 0), numbers(n.X[3], 0), numbers(size, 0)
}

// compute is what XLA gives. The functions that it calls have nothing but zeros in them, if loupe's kernels do not
// stand in their place.
func (n norm) compute(x, scale, offset, d []float32) (r normResults, err error) {
	b, err := backend.Get()
	if err != nil {
		return r, err
	}
	rows, groups := n.Rows(), n.groups()
	of, moments, by := n.X[:], []int{rows, groups}, []int{rows, n.X[3]}
	exec, err := graph.NewExec(b, func(x, scale, offset, d *graph.Node) []*graph.Node {
		call := func(part customcall.NormPart, in []*graph.Node, dims ...[]int) []*graph.Node {
			g := x.Graph()
			return graph.NewFunction(g, n.Name(part), func(g *graph.Graph) []*graph.Node {
				for i, of := range in {
					graph.Parameter(g, fmt.Sprint("in", i), of.Shape().Clone())
				}
				var out []*graph.Node
				for _, d := range dims {
					out = append(out, graph.BroadcastToDims(graph.ConstAsDType(g, dtypes.Float32, 0.0), d...))
				}
				return out
			}).Call(in...)
		}
		m := call(customcall.Moments, []*graph.Node{x}, moments, moments)
		in := []*graph.Node{x, scale, offset}
		if n.Groups == 0 {
			in = append(in, m...)
		}
		y := call(customcall.Normalised, in, of)
		return slices.Concat(m, y, call(customcall.NormGradient, append(slices.Clone(in), d), of, by, by))
	})
	if err != nil {
		return r, err
	}
	defer exec.Finalize()
	results, err := exec.Call(tensors.FromFlatDataAndDimensions(x, of...),
		tensors.FromFlatDataAndDimensions(scale, n.X[3]),
		tensors.FromFlatDataAndDimensions(offset, n.X[3]), tensors.FromFlatDataAndDimensions(d, of...))
	if err != nil {
		return r, err
	}
	for i, to := range []*[]float32{&r.mean, &r.variance, &r.y, &r.dx, &r.dscale, &r.doffset} {
		if *to, err = tensors.CopyFlatData[float32](results[i]); err != nil {
			return r, err
		}
	}
	return r, nil
}

// exactly is the same in double precision, as the definition has it. Where a result is so near 0 that its sign is open,
// d becomes 0.
func (n norm) exactly(x, scale, offset, d []float32) (mean, variance, y, dx, dscale, doffset []float64) {
	rows, groups, channels := n.Rows(), n.groups(), n.X[3]
	places, of := n.X[0]*n.X[1]*n.X[2]/rows, channels/groups
	mean, variance = make([]float64, rows*groups), make([]float64, rows*groups)
	y, dx = make([]float64, len(x)), make([]float64, len(x))
	dscale, doffset = make([]float64, rows*channels), make([]float64, rows*channels)
	for r := range rows {
		for g := range groups {
			each := func(do func(i, c int)) {
				for p := range places {
					for c := g * of; c < (g+1)*of; c++ {
						do((r*places+p)*channels+c, c)
					}
				}
			}
			m, v, size := 0.0, 0.0, float64(places*of)
			each(func(i, _ int) { m += float64(x[i]) / size })
			each(func(i, _ int) { v += (float64(x[i]) - m) * (float64(x[i]) - m) / size })
			mean[r*groups+g], variance[r*groups+g] = m, v
			by := 1 / math.Sqrt(v+float64(n.Epsilon))
			sum, along := 0.0, 0.0
			back := func(i, c int) (normal, g float64) {
				normal, g = (float64(x[i])-m)*by, float64(d[i])
				if n.ReLU && !(normal*float64(scale[c])+float64(offset[c]) > 0) {
					g = 0
				}
				return normal, g
			}
			each(func(i, c int) {
				y[i] = (float64(x[i])-m)*by*float64(scale[c]) + float64(offset[c])
				if n.ReLU {
					if math.Abs(y[i]) < 1e-5*(1+n.far) {
						d[i] = 0
					}
					y[i] = max(0, y[i])
				}
				normal, g := back(i, c)
				dscale[r*channels+c] += g * normal
				doffset[r*channels+c] += g
				sum += g * float64(scale[c]) / size
				along += g * float64(scale[c]) * normal / size
			})
			each(func(i, c int) {
				normal, g := back(i, c)
				dx[i] = by * (g*float64(scale[c]) - sum - normal*along)
			})
		}
	}
	return mean, variance, y, dx, dscale, doffset
}

// norms are of real networks first, then drawn: all remainders of channels, one pixel, one group, a group for each
// channel, values far from 0.
func norms(count int) []norm {
	list := []norm{
		{customcall.Norm{X: [4]int{16, 16, 16, 32}, Epsilon: 1e-5, ReLU: true}, 0}, // a batch of several parts
		{customcall.Norm{X: [4]int{40, 16, 16, 16}, Groups: 16, Epsilon: 1e-5, ReLU: true}, 0},
		{customcall.Norm{X: [4]int{9, 8, 8, 64}, Groups: 16, Epsilon: 1e-5}, 0},
		{customcall.Norm{X: [4]int{3, 7, 7, 320}, Groups: 32, Epsilon: 1e-3}, 3},
		{customcall.Norm{X: [4]int{12, 30, 31, 24}, Epsilon: 1e-3}, 100},
		{customcall.Norm{X: [4]int{5, 20, 20, 100}, Groups: 1, Epsilon: 1e-6, ReLU: true}, 100},
		{customcall.Norm{X: [4]int{64, 1, 1, 8}, Epsilon: 1e-5}, 0},
		{customcall.Norm{X: [4]int{1, 1, 3, 1}, Groups: 1, Epsilon: 1e-5}, 0},
	}
	r := rand.New(rand.NewPCG(8, 8))
	for len(list) < count {
		upTo := func(n int) int { return 1 + r.IntN(n) }
		n := norm{customcall.Norm{X: [4]int{upTo(20), upTo(14), 1 + upTo(14), 0}, Epsilon: 1e-5, ReLU: r.IntN(2) == 0},
			float64(r.IntN(3))}
		of := upTo(6)
		n.Groups = r.IntN(15)
		if n.X[3] = of * n.Groups; n.Groups == 0 {
			n.X[3] = upTo(150)
		}
		list = append(list, n)
	}
	return list
}

func TestNormalisationsAgreeWithDoublePrecision(t *testing.T) {
	needKernels(t)
	normsAgree(t)
	if customcall.Vectors() == "AVX-512" {
		customcall.LimitVectors(8)
		defer customcall.LimitVectors(16)
		normsAgree(t)
	}
}

func normsAgree(t *testing.T) {
	t.Helper()
	for i, n := range norms(60) {
		x, scale, offset, d := n.random(uint64(i))
		mean, variance, y, dx, dscale, doffset := n.exactly(x, scale, offset, d)
		before := replaced(t)
		got, err := n.compute(x, scale, offset, d)
		if err != nil {
			t.Fatalf("%+v: %v", n, err)
		}
		if n := replaced(t) - before; n != 3 {
			t.Fatalf("loupe's kernels stand in %d places", n)
		}
		for _, c := range []struct {
			what string
			got  []float32
			want []float64
		}{{"mean", got.mean, mean}, {"variance", got.variance, variance}, {"result", got.y, y}, {"gradient by x", got.dx, dx},
			{"gradient by scale", got.dscale, dscale}, {"gradient by offset", got.doffset, doffset}} {
			largest, worst := 0.0, 0.0
			for k := range c.want {
				largest, worst = max(largest, math.Abs(c.want[k])), max(worst, math.Abs(float64(c.got[k])-c.want[k]))
			}
			// The mean itself is in single precision: what lies so far from 0 has no more places.
			if len(c.got) != len(c.want) || !(worst <= 1e-5*(1+n.far)*largest+1e-7) {
				t.Errorf("%s: %s of %+v: %v away, the largest value is %v", customcall.Vectors(), c.what, n, worst, largest)
			}
		}
	}
}

// A value that is no number makes its group none, in the result and in the gradients, and no other.
func TestNaNsOfNormalisationsGoToTheirGroup(t *testing.T) {
	needKernels(t)
	for _, n := range []norm{
		{customcall.Norm{X: [4]int{3, 5, 5, 12}, Groups: 4, Epsilon: 1e-5, ReLU: true}, 0},
		{customcall.Norm{X: [4]int{30, 12, 12, 40}, Epsilon: 1e-5, ReLU: true}, 0},
	} {
		x, scale, offset, d := n.random(1)
		const image, channel = 1, 7
		x[image*n.X[1]*n.X[2]*n.X[3]+channel] = float32(math.NaN())
		got, err := n.compute(x, scale, offset, d)
		if err != nil {
			t.Fatal(err)
		}
		of := n.X[3] / n.groups()
		for _, values := range [][]float32{got.y, got.dx} {
			for i, v := range values {
				c, r := i%n.X[3], i/(n.X[1]*n.X[2]*n.X[3])
				want := c/of == channel/of && (n.Groups == 0 || r == image)
				if is := math.IsNaN(float64(v)); is != want {
					t.Fatalf("%+v: value %d of image %d, channel %d is %v", n, i, r, c, v)
				}
			}
		}
	}
}

// TestBitsOfNormalisationsDoNotDependOnThreads has other processes compute on pools of other sizes.
func TestBitsOfNormalisationsDoNotDependOnThreads(t *testing.T) {
	needKernels(t)
	if os.Getenv("LOUPE_TEST_BITS") != "" {
		for i, n := range norms(12) {
			x, scale, offset, d := n.random(uint64(i))
			got, err := n.compute(x, scale, offset, d)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("bits %x\n", sha256.Sum256(fmt.Append(nil, got)))
		}
		return
	}
	sameBits(t, 12)
}

func TestNormalisationsAtOnceDoNotDisturbEachOther(t *testing.T) {
	needKernels(t)
	list := norms(8)
	do := func(i int) []float32 {
		x, scale, offset, d := list[i].random(uint64(i))
		r, err := list[i].compute(x, scale, offset, d)
		if err != nil {
			t.Error(err)
		}
		return slices.Concat(r.mean, r.variance, r.y, r.dx, r.dscale, r.doffset)
	}
	var alone [8][]float32
	for i := range list {
		alone[i] = do(i)
	}
	var wait sync.WaitGroup
	for range 4 {
		for i := range list {
			wait.Go(func() {
				if !slices.Equal(do(i), alone[i]) {
					t.Errorf("%+v is another one beside others", list[i])
				}
			})
		}
	}
	wait.Wait()
}

// Names are read as they are written, and only calls whose shapes are those of the name are rewritten.
func TestOnlyNamedNormalisationsAreRewritten(t *testing.T) {
	n := customcall.Norm{X: [4]int{4, 8, 8, 6}, Groups: 3, Epsilon: 1e-5, ReLU: true}
	for part := customcall.Moments; part <= customcall.NormGradient; part++ {
		if of, p, ok := customcall.NormNamed(n.Name(part)); !ok || of != n || p != part {
			t.Errorf("%s is read as %+v, %d, %v", n.Name(part), of, p, ok)
		}
	}
	for _, name := range []string{"", "loupe_norm", "loupe_norm_1_4_8_8_6_3_0", n.Name(3),
		strings.Replace(n.Name(0), "_6_3_", "_6_4_", 1), n.Name(0) + "_1", strings.Replace(n.Name(0), "_4_", "_0_", 1)} {
		if of, _, ok := customcall.NormNamed(name); ok {
			t.Errorf("%q is read as %+v", name, of)
		}
	}
	text := `    %5, %6, %7 = "func.call"(%1, %2, %3, %4) { callee = @` + n.Name(customcall.NormGradient) +
		` } : (tensor<4x8x8x6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<4x8x8x6xf32>) -> (tensor<4x8x8x6xf32>, ` +
		`tensor<4x6xf32>, tensor<4x6xf32>)` + "\n"
	out, count := customcall.Rewrite([]byte(text))
	if bits := fmt.Sprint(math.Float32bits(1e-5)); count != 1 || strings.Contains(string(out), "func.call") ||
		!strings.Contains(string(out), "array<i64: 4, 3, "+bits+", 1>") ||
		!strings.Contains(string(out), `%5, %6, %7 = "stablehlo.custom_call"(%1, %2, %3, %4)`) ||
		!strings.HasSuffix(string(out), "-> (tensor<4x8x8x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>)\n") {
		t.Errorf("%d rewritten:\n%s", count, out)
	}
	staysAsItIs(t, text, map[string][2]string{
		"another function": {"@loupe_norm", "@somebodys"},
		"another part":     {n.Name(customcall.NormGradient), n.Name(customcall.Normalised)},
		"other values":     {"(tensor<4x8x8x6xf32>", "(tensor<4x8x9x6xf32>"},
		"double precision": {"tensor<6xf32>, tensor<6xf32>", "tensor<6xf64>, tensor<6xf64>"},
		"another result":   {"-> (tensor<4x8x8x6xf32>, tensor<4x6xf32>", "-> (tensor<4x8x8x6xf32>, tensor<6xf32>"},
		"a number missing": {"_3_92", "_92"},
	})
}

// BenchmarkNormalisations times a batch of images, and its gradient.
func BenchmarkNormalisations(b *testing.B) {
	needKernels(b)
	engine, err := backend.Get()
	if err != nil {
		b.Fatal(err)
	}
	for _, groups := range []int{0, 16} {
		n := customcall.Norm{X: [4]int{128, 32, 32, 16}, Groups: groups, Epsilon: 1e-5, ReLU: true}
		b.Run(fmt.Sprintf("%d groups", groups), func(b *testing.B) {
			exec, err := graph.NewExec(engine, func(x, scale *graph.Node) []*graph.Node {
				in := []*graph.Node{x, scale, scale}
				g := x.Graph()
				call := func(part customcall.NormPart, in []*graph.Node, dims ...[]int) []*graph.Node {
					return graph.NewFunction(g, n.Name(part), func(g *graph.Graph) []*graph.Node {
						var out []*graph.Node
						for i, of := range in {
							graph.Parameter(g, fmt.Sprint("in", i), of.Shape().Clone())
						}
						for _, d := range dims {
							out = append(out, graph.BroadcastToDims(graph.ConstAsDType(g, dtypes.Float32, 0.0), d...))
						}
						return out
					}).Call(in...)
				}
				if groups == 0 {
					in = append(in, call(customcall.Moments, []*graph.Node{x}, []int{1, 16}, []int{1, 16})...)
				}
				y := call(customcall.Normalised, in, n.X[:])[0]
				return call(customcall.NormGradient, append(slices.Clone(in), y), n.X[:], []int{n.Rows(), 16},
					[]int{n.Rows(), 16})[1:]
			})
			if err != nil {
				b.Fatal(err)
			}
			defer exec.Finalize()
			x, scale := tensors.FromShape(shapes.Make(dtypes.Float32, n.X[:]...)),
				tensors.FromShape(shapes.Make(dtypes.Float32, 16))
			for i := -1; i < b.N; i++ { // the first compiles
				if i == 0 {
					b.ResetTimer()
				}
				results, err := exec.Call(x, scale)
				if err != nil {
					b.Fatal(err)
				}
				results[0].FinalizeAll()
			}
		})
	}
}
