package customcall_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/lib/backend"
)

// byExample is what loupe's kernels give for the gradients by the kernel of each example, for their squared lengths,
// and for their sum, each times a factor. The functions that stand for them give zeros.
func (l layer) byExample(examples int, x, d, factors []float32) (results [3][]float32, err error) {
	b, err := backend.Get()
	if err != nil {
		return results, err
	}
	c := customcall.Convolution{Strides: l.strides, Dilations: l.dilations,
		Before: [2]int{l.padding[0][0], l.padding[1][0]}, Kernel: [2]int{l.kh, l.kw},
		Examples: examples, Images: [4]int{l.n, l.h, l.w, l.ci}, Outputs: [4]int{l.n, l.out(0), l.out(1), l.co}}
	exec, err := graph.NewExec(b, func(x, d, factors *graph.Node) []*graph.Node {
		g := x.Graph()
		call := func(what customcall.OfExamples, in []*graph.Node, dims ...int) *graph.Node {
			c := c
			c.Of = what
			return graph.NewFunction(g, customcall.ByExample(c), func(g *graph.Graph) []*graph.Node {
				for i, of := range in {
					graph.Parameter(g, fmt.Sprint("in", i), of.Shape().Clone())
				}
				return []*graph.Node{graph.ConstTensor(g, tensors.FromShape(shapes.Make(dtypes.Float32, dims...)))}
			}).Call(in...)[0]
		}
		both := []*graph.Node{x, d}
		return []*graph.Node{call(customcall.Gradients, both, examples, l.kh, l.kw, l.ci, l.co),
			call(customcall.Squares, both, examples),
			call(customcall.Weighted, append(both, factors), l.kh, l.kw, l.ci, l.co)}
	})
	if err != nil {
		return results, err
	}
	defer exec.Finalize()
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, c.Images[:]...),
		tensors.FromFlatDataAndDimensions(d, c.Outputs[:]...),
		tensors.FromFlatDataAndDimensions(factors, examples))
	if err != nil {
		return results, err
	}
	for i := range results {
		if results[i], err = tensors.CopyFlatData[float32](out[i]); err != nil {
			return results, err
		}
	}
	return results, nil
}

// factorsOf are some examples' factors.
func factorsOf(examples int) []float32 {
	f := make([]float32, examples)
	for e := range f {
		f[e] = float32(e+1) / float32(examples) * float32(1-2*(e%2))
	}
	return f
}

// examplesOf are layers whose images are of several examples, of one view or two.
func examplesOf(count int) (list []layer, views []int) {
	for i, l := range layers(count) {
		l.n = 6
		list, views = append(list, l), append(views, 1+i%2)
	}
	return list, views
}

func TestGradientsOfExamplesAgreeWithDoublePrecision(t *testing.T) {
	needKernels(t)
	agreeByExample(t)
	if customcall.Vectors() == "AVX-512" {
		customcall.LimitVectors(8)
		defer customcall.LimitVectors(16)
		agreeByExample(t)
	}
}

func agreeByExample(t *testing.T) {
	t.Helper()
	list, views := examplesOf(24)
	for i, l := range list {
		x, d := l.random(uint64(i))
		examples := l.n / views[i]
		factors := factorsOf(examples)
		results, err := l.byExample(examples, x, d, factors)
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		got, squares, sum := results[0], results[1], make([]float64, len(results[2]))
		one := l
		one.n = views[i]
		size := l.kh * l.kw * l.ci * l.co
		for e := range examples {
			want := one.exact(x[e*len(x)/examples:(e+1)*len(x)/examples], d[e*len(d)/examples:(e+1)*len(d)/examples])
			largest, worst, square := 0.0, 0.0, 0.0
			for k := range want {
				largest, worst = max(largest, math.Abs(want[k])), max(worst, math.Abs(float64(got[e*size+k])-want[k]))
				square += want[k] * want[k]
				sum[k] += float64(factors[e]) * want[k]
			}
			if !(worst <= 1e-5*largest) || !(math.Abs(float64(squares[e])-square) <= 1e-5*square) {
				t.Errorf("%s: %+v: example %d is %v of %v away, and its squared length is %v, want %v", customcall.Vectors(), l, e,
					worst, largest, squares[e], square)
			}
		}
		largest, worst := 0.0, 0.0
		for k, want := range sum {
			largest, worst = max(largest, math.Abs(want)), max(worst, math.Abs(float64(results[2][k])-want))
		}
		if !(worst <= 1e-5*largest) {
			t.Errorf("%s: %+v: the sum times factors is %v of %v away", customcall.Vectors(), l, worst, largest)
		}
	}
}

// TestBitsOfExamplesDoNotDependOnThreads has other processes compute on pools of other sizes.
func TestBitsOfExamplesDoNotDependOnThreads(t *testing.T) {
	needKernels(t)
	if os.Getenv("LOUPE_TEST_BITS") != "" {
		list, views := examplesOf(8)
		for i, l := range list {
			x, d := l.random(uint64(i))
			got, err := l.byExample(l.n/views[i], x, d, factorsOf(l.n/views[i]))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("bits %x\n", sha256.Sum256(fmt.Append(nil, got)))
		}
		return
	}
	sameBits(t, 8)
}

// Only calls whose shapes are those of the name are rewritten.
func TestOnlyNamedCallsAreRewritten(t *testing.T) {
	c := customcall.Convolution{Strides: [2]int{1, 1}, Dilations: [2]int{1, 1}, Before: [2]int{1, 1}, Kernel: [2]int{3, 3},
		Examples: 2, Images: [4]int{4, 8, 8, 3}, Outputs: [4]int{4, 8, 8, 5}}
	text := `    %5 = "func.call"(%3, %4) { callee = @` + customcall.ByExample(c) +
		` } : (tensor<4x8x8x3xf32>, tensor<4x8x8x5xf32>) -> tensor<2x3x3x3x5xf32>` + "\n"
	out, n := customcall.Rewrite([]byte(text))
	if n != 1 || !strings.Contains(string(out), "array<i64: 1, 1, 1, 1, 1, 1, 3, 3>") ||
		strings.Contains(string(out), "func.call") ||
		!strings.Contains(string(out), "result_layouts = [dense<[4, 3, 2, 1, 0]> : tensor<5xindex>]") {
		t.Errorf("%d rewritten:\n%s", n, out)
	}
	squares := c
	squares.Of = customcall.Squares
	staysAsItIs(t, text, map[string][2]string{
		"another function":           {"loupe_by_example", "somebodys"},
		"other images":               {"tensor<4x8x8x3xf32>", "tensor<4x8x9x3xf32>"},
		"double precision":           {"x5xf32>)", "x5xf64>)"},
		"another result":             {"tensor<2x3x3x3x5xf32>", "tensor<2xf32>"},
		"another name":               {customcall.ByExample(c), customcall.ByExample(squares)},
		"examples of no images":      {"_2_0_4_", "_3_0_4_"},
		"a number out of bounds":     {"_2_0_4_", "_99999999999_0_4_"},
		"factors that are not there": {"_2_0_4_", "_2_2_4_"},
		"what is not known":          {"_2_0_4_", "_2_3_4_"},
	})
}
