package customcall_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/lib/backend"
)

// depthwise are depthwise convolutions, of real networks first, then drawn: every remainder of channels, strides,
// padding wider than the kernel, kernels larger than the image.
func depthwise(count int) []customcall.Depthwise {
	around := func(before, after int) [2][2]int { return [2][2]int{{before, after}, {before, after}} }
	list := []customcall.Depthwise{
		{X: [4]int{2, 28, 28, 96}, Kernel: [2]int{3, 3}, Stride: 2, Padding: around(1, 1)},
		{X: [4]int{3, 14, 14, 240}, Kernel: [2]int{5, 5}, Stride: 1, Padding: around(2, 2)},
		{X: [4]int{2, 15, 15, 100}, Kernel: [2]int{7, 7}, Stride: 1, Padding: around(3, 3)},
		{X: [4]int{4, 12, 13, 19}, Kernel: [2]int{5, 5}, Stride: 2, Padding: around(1, 2)},
		{X: [4]int{1, 3, 3, 33}, Kernel: [2]int{5, 5}, Stride: 1, Padding: around(2, 2)},
		{X: [4]int{1, 4, 4, 8}, Kernel: [2]int{3, 3}, Stride: 1, Padding: around(4, 4)}, // outputs of padding alone
		{X: [4]int{1, 1, 1, 1}, Kernel: [2]int{1, 1}, Stride: 1},
		{X: [4]int{40, 20, 20, 64}, Kernel: [2]int{3, 3}, Stride: 1, Padding: around(1, 1)}, // many tasks
	}
	r := rand.New(rand.NewPCG(9, 9))
	for len(list) < count {
		upTo := func(n int) int { return 1 + r.IntN(n) }
		d := customcall.Depthwise{X: [4]int{upTo(6), upTo(20), upTo(20), upTo(80)}, Kernel: [2]int{upTo(5), upTo(5)},
			Stride: upTo(3)}
		fits := true
		for a := range d.Padding {
			d.Padding[a] = [2]int{r.IntN(4), r.IntN(4)}
			fits = fits && d.X[1+a]+d.Padding[a][0]+d.Padding[a][1] >= d.Kernel[a]
		}
		if fits {
			list = append(list, d)
		}
	}
	return list
}

// given are images and a kernel.
func given(d customcall.Depthwise, seed uint64) (x, w []float32) {
	r := rand.New(rand.NewPCG(seed, 3))
	numbers := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	return numbers(d.X[0] * d.X[1] * d.X[2] * d.X[3]), numbers(d.Kernel[0] * d.Kernel[1] * d.X[3])
}

// convolved is what XLA gives. The function that it calls has nothing but zeros in it, if loupe's kernel does not stand
// in its place.
func convolved(d customcall.Depthwise, x, w []float32) ([]float32, error) {
	b, err := backend.Get()
	if err != nil {
		return nil, err
	}
	out := d.Outputs()
	exec, err := graph.NewExec(b, func(x, w *graph.Node) *graph.Node {
		return graph.NewFunction(x.Graph(), d.Name(), func(g *graph.Graph) []*graph.Node {
			graph.Parameter(g, "x", x.Shape().Clone())
			graph.Parameter(g, "w", w.Shape().Clone())
			return []*graph.Node{graph.BroadcastToDims(graph.ConstAsDType(g, dtypes.Float32, 0.0), d.X[0], out[0],
				out[1], d.X[3])}
		}).Call(x, w)[0]
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	results, err := exec.Call(tensors.FromFlatDataAndDimensions(x, d.X[:]...),
		tensors.FromFlatDataAndDimensions(w, d.Kernel[0], d.Kernel[1], 1, d.X[3]))
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](results[0])
}

// definition is the same in double precision.
func definition(d customcall.Depthwise, x, w []float32) []float64 {
	out, c := d.Outputs(), d.X[3]
	y := make([]float64, d.X[0]*out[0]*out[1]*c)
	for i := range y {
		at, channel := i/c, i%c
		image, row, column := at/(out[0]*out[1]), at/out[1]%out[0], at%out[1]
		for k := range d.Kernel[0] {
			for l := range d.Kernel[1] {
				r, s := row*d.Stride+k-d.Padding[0][0], column*d.Stride+l-d.Padding[1][0]
				if r >= 0 && r < d.X[1] && s >= 0 && s < d.X[2] {
					y[i] += float64(x[((image*d.X[1]+r)*d.X[2]+s)*c+channel]) * float64(w[(k*d.Kernel[1]+l)*c+channel])
				}
			}
		}
	}
	return y
}

func TestDepthwiseConvolutionsAgreeWithDoublePrecision(t *testing.T) {
	needKernels(t)
	agree := func() {
		for i, d := range depthwise(80) {
			x, w := given(d, uint64(i))
			before := replaced(t)
			got, err := convolved(d, x, w)
			if err != nil {
				t.Fatalf("%+v: %v", d, err)
			}
			if n := replaced(t) - before; n != 1 {
				t.Fatalf("loupe's kernel stands in %d places", n)
			}
			want := definition(d, x, w)
			largest, worst := 0.0, 0.0
			for k := range want {
				largest, worst = max(largest, math.Abs(want[k])), max(worst, math.Abs(float64(got[k])-want[k]))
			}
			if len(got) != len(want) || !(worst <= 2e-6*largest+1e-9) {
				t.Errorf("%s: %+v: %v away, the largest value is %v", customcall.Vectors(), d, worst, largest)
			}
		}
	}
	agree()
	if customcall.Vectors() == "AVX-512" {
		customcall.LimitVectors(8)
		defer customcall.LimitVectors(16)
		agree()
	}
}

// TestBitsOfDepthwiseConvolutionsDoNotDependOnThreads has other processes compute on pools of other sizes.
func TestBitsOfDepthwiseConvolutionsDoNotDependOnThreads(t *testing.T) {
	needKernels(t)
	if os.Getenv("LOUPE_TEST_BITS") != "" {
		for i, d := range depthwise(10) {
			x, w := given(d, uint64(i))
			got, err := convolved(d, x, w)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("bits %x\n", sha256.Sum256(fmt.Append(nil, got)))
		}
		return
	}
	sameBits(t, 10)
}

func TestOnlyKnownDepthwiseConvolutionsAreRewritten(t *testing.T) {
	const called = `    %5 = "func.call"(%3, %w.1) { callee = @loupe_depthwise_2_8_9_4_3_3_2_1_1_0_1 } : (tensor<2x8x9x4xf32>, tensor<3x3x1x4xf32>) -> tensor<2x4x4x4xf32>
`
	out, n := customcall.Rewrite([]byte(called))
	if n != 1 || !strings.Contains(string(out), `"stablehlo.custom_call"(%3, %w.1) {`) ||
		!strings.Contains(string(out), "array<i64: 2, 1, 0>") {
		t.Errorf("%d rewritten:\n%s", n, out)
	}
	staysAsItIs(t, called, map[string][2]string{
		"double precision":   {"4xf32>)", "4xf64>)"},
		"another result":     {"tensor<2x4x4x4xf32>", "tensor<2x4x5x4xf32>"},
		"another kernel":     {"tensor<3x3x1x4xf32>", "tensor<3x3x1x8xf32>"},
		"no stride":          {"_3_3_2_", "_3_3_0_"},
		"a number too few":   {"_0_1 }", "_0 }"},
		"a number too large": {"_0_1 }", "_0_99999999999 }"},
		"nothing to slide":   {"_2_8_9_4_3_3_", "_2_1_0_4_3_3_"},
	})
}
