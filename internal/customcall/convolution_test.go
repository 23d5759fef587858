package customcall_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/model"
)

// both are what XLA gives for the outputs of a layer, and for the gradient by its images of the sum of outputs times d.
func (l layer) both(x, w, d []float32) (y, dx []float32, err error) {
	b, err := backend.Get()
	if err != nil {
		return nil, nil, err
	}
	exec, err := graph.NewExec(b, func(x, w, d *graph.Node) (y, dx *graph.Node) {
		y = graph.Convolve(x, w).StridePerAxis(l.strides[:]...).DilationPerAxis(l.dilations[:]...).
			PaddingPerDim([][2]int{l.padding[0], l.padding[1]}).Done()
		return y, graph.Gradient(graph.ReduceAllSum(graph.Mul(y, d)), x)[0]
	})
	if err != nil {
		return nil, nil, err
	}
	defer exec.Finalize()
	results, err := exec.Call(tensors.FromFlatDataAndDimensions(x, l.n, l.h, l.w, l.ci),
		tensors.FromFlatDataAndDimensions(w, l.kh, l.kw, l.ci, l.co),
		tensors.FromFlatDataAndDimensions(d, l.n, l.out(0), l.out(1), l.co))
	if err != nil {
		return nil, nil, err
	}
	if y, err = tensors.CopyFlatData[float32](results[0]); err != nil {
		return nil, nil, err
	}
	dx, err = tensors.CopyFlatData[float32](results[1])
	return y, dx, err
}

// exactBoth are the same in double precision, term by term as the definition has it.
func (l layer) exactBoth(x, w, d []float32) (y, dx []float64) {
	oh, ow := l.out(0), l.out(1)
	y, dx = make([]float64, l.n*oh*ow*l.co), make([]float64, len(x))
	for n := range l.n {
		for i := range oh {
			for j := range ow {
				out := ((n*oh+i)*ow + j) * l.co
				for r := range l.kh {
					for s := range l.kw {
						row := i*l.strides[0] + r*l.dilations[0] - l.padding[0][0]
						column := j*l.strides[1] + s*l.dilations[1] - l.padding[1][0]
						if row < 0 || row >= l.h || column < 0 || column >= l.w {
							continue
						}
						in := ((n*l.h+row)*l.w + column) * l.ci
						for c := range l.ci {
							for o, v := range w[((r*l.kw+s)*l.ci+c)*l.co:][:l.co] {
								y[out+o] += float64(x[in+c]) * float64(v)
								dx[in+c] += float64(d[out+o]) * float64(v)
							}
						}
					}
				}
			}
		}
	}
	return y, dx
}

// kernel is a random kernel.
func (l layer) kernel(seed uint64) []float32 {
	w, _ := layer{n: 1, h: l.kh, w: l.kw, ci: l.ci * l.co, kh: 1, kw: 1, co: 1, strides: [2]int{1, 1},
		dilations: [2]int{1, 1}}.random(seed + 1000)
	return w
}

func TestConvolutionsAgreeWithDoublePrecision(t *testing.T) {
	needKernels(t)
	bothAgree(t)
	if customcall.Vectors() != "AVX-512" {
		return
	}
	customcall.LimitVectors(8)
	defer customcall.LimitVectors(16)
	bothAgree(t)
}

func bothAgree(t *testing.T) {
	t.Helper()
	defer customcall.Choose(true)()
	for i, l := range layers(100) {
		before := replaced(t)
		x, d := l.random(uint64(i))
		w := l.kernel(uint64(i))
		y, dx, err := l.both(x, w, d)
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		// The third is the gradient by the kernel, which nobody asks for. Where a side of the kernel is even GoMLX's gradient
		// by the images is in the program as well (lib/internal/gradients).
		even := l.kh%2 == 0 || l.kw%2 == 0
		if n := replaced(t) - before; n != 3 && !(even && n == 4) {
			t.Errorf("%+v: loupe's kernels stand in %d places", l, n)
		}
		wantY, wantDX := l.exactBoth(x, w, d)
		for _, c := range []struct {
			what string
			got  []float32
			want []float64
		}{{"outputs", y, wantY}, {"gradient", dx, wantDX}} {
			largest, worst := 0.0, 0.0
			for k := range c.want {
				largest = max(largest, math.Abs(c.want[k]))
				worst = max(worst, math.Abs(float64(c.got[k])-c.want[k]))
			}
			if len(c.got) != len(c.want) || !(worst <= 1e-5*largest) {
				t.Errorf("%s: %s of %+v: %v away, the largest value is %v", customcall.Vectors(), c.what, l, worst, largest)
			}
		}
	}
}

// TestNaNsAndInfinitiesGoWhereXLAsGo has a NaN and an infinity in a pixel and in the gradient by the outputs, and an
// infinity in the kernel, of which a border of zeros makes NaN.
func TestNaNsAndInfinitiesGoWhereXLAsGo(t *testing.T) {
	needKernels(t)
	one := [2]int{1, 1}
	for i, l := range []layer{
		{2, 9, 9, 3, 3, 3, 5, one, one, [2][2]int{{1, 1}, {1, 1}}},
		{2, 9, 8, 20, 3, 3, 17, [2]int{2, 2}, one, [2][2]int{{1, 1}, {1, 1}}},
		{1, 12, 12, 2, 5, 5, 33, one, one, [2][2]int{{2, 2}, {2, 2}}},
	} {
		for _, infinite := range []bool{false, true} {
			x, d := l.random(uint64(i))
			w := l.kernel(uint64(i))
			x[len(x)/2], d[len(d)/2] = float32(math.NaN()), float32(math.Inf(1))
			x[len(x)/3] = float32(math.Inf(-1))
			if infinite && l.strides == one { // where images are spread out XLA leaves the border's zeros out
				w[0] = float32(math.Inf(1))
			}
			var got [2][]float32
			for k, all := range []bool{true, false} {
				restore := customcall.Choose(all)
				before := replaced(t)
				y, dx, err := l.both(x, w, d)
				restore()
				if err != nil {
					t.Fatal(err)
				}
				if n := replaced(t) - before; all && n != 3 || !all && n != 1 { // one is the gradient by the kernel
					t.Fatalf("%+v: loupe's kernels stand in %d places where all is %v", l, n, all)
				}
				got[k] = slices.Concat(y, dx)
			}
			odd := 0
			for k, v := range got[1] {
				own := float64(got[0][k])
				switch want := float64(v); {
				case math.IsNaN(want) || math.IsInf(want, 0):
					odd++
					if math.IsNaN(own) != math.IsNaN(want) || !math.IsNaN(want) && own != want {
						t.Errorf("%+v: number %d is %v, XLA has %v", l, k, own, want)
					}
				case !(math.Abs(own-want) <= 1e-4):
					t.Errorf("%+v: number %d is %v, XLA has %v", l, k, own, want)
				}
			}
			if odd == 0 || odd == len(got[1]) {
				t.Errorf("%+v: %d of %d numbers are none", l, odd, len(got[1]))
			}
		}
	}
}

// TestConvolutionsInALoop has a loop on the device convolve again and again, which is as often as without it.
func TestConvolutionsInALoop(t *testing.T) {
	needKernels(t)
	l := layer{2, 9, 11, 4, 3, 3, 4, [2]int{1, 1}, [2]int{1, 1}, [2][2]int{{1, 1}, {1, 1}}}
	x, _ := l.random(1)
	w := l.kernel(1)
	layer := func(x, w *graph.Node) *graph.Node {
		return graph.Tanh(graph.Convolve(x, w).PaddingPerDim([][2]int{l.padding[0], l.padding[1]}).Done())
	}
	before := replaced(t)
	var got [2][]float32
	for i, fn := range []func(x, w *graph.Node) *graph.Node{
		func(x, w *graph.Node) *graph.Node {
			return model.Loop(3, []*graph.Node{x, w}, func(_ *graph.Node, state []*graph.Node) []*graph.Node {
				return []*graph.Node{layer(state[0], state[1]), state[1]}
			})[0]
		},
		func(x, w *graph.Node) *graph.Node { return layer(layer(layer(x, w), w), w) },
	} {
		program, err := model.NewExec(fn)
		if err != nil {
			t.Fatal(err)
		}
		results, err := program.Call(tensors.FromFlatDataAndDimensions(x, l.n, l.h, l.w, l.ci),
			tensors.FromFlatDataAndDimensions(w, l.kh, l.kw, l.ci, l.co))
		if err != nil {
			t.Fatal(err)
		}
		if got[i], err = tensors.CopyFlatData[float32](results[0]); err != nil {
			t.Fatal(err)
		}
	}
	if n := replaced(t) - before; n != 4 {
		t.Errorf("loupe's kernels stand in %d places, not in one of the loop and three without", n)
	}
	for i := range got[0] {
		if !(math.Abs(float64(got[0][i]-got[1][i])) <= 1e-6) {
			t.Fatalf("number %d is %v in the loop, %v without", i, got[0][i], got[1][i])
		}
	}
}

func TestOnlyKnownConvolutionsAreRewritten(t *testing.T) {
	const convolution = `    %12 = "stablehlo.convolution"(%10, %11) {
      batch_group_count = 1 : i64,
      dimension_numbers = #stablehlo.conv<[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]>,
      feature_group_count = 1 : i64,
      lhs_dilation = array<i64: 2, 2>,
      padding = dense<[[1, 2], [1, 2]]> : tensor<2x2xi64>,
      precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>],
      rhs_dilation = array<i64: 1, 1>,
      window_reversal = array<i1: false, false>,
      window_strides = array<i64: 1, 1>
    } : (tensor<2x4x4x5xf32>, tensor<3x3x3x5xf32>) -> tensor<2x8x8x3xf32>
`
	out, n := customcall.Rewrite([]byte(convolution))
	if n != 1 || !strings.Contains(string(out), `"stablehlo.custom_call"(%10, %11) {`) ||
		!strings.Contains(string(out), "array<i64: 1, 1, 1, 1, 2, 2, 1, 1, 1>") {
		t.Errorf("%d rewritten:\n%s", n, out)
	}
	for what, change := range map[string][]string{
		"groups":                   {"feature_group_count = 1", "feature_group_count = 5"},
		"groups of the batch":      {"batch_group_count = 1", "batch_group_count = 2"},
		"double precision":         {"xf32>) -> tensor<2x8x8x3xf32>", "xf64>) -> tensor<2x8x8x3xf64>"},
		"another order of axes":    {"->[b, 0, 1, f]", "->[b, f, 0, 1]"},
		"a reversed window":        {"array<i1: false, false>", "array<i1: true, false>"},
		"shapes that do not fit":   {"tensor<2x8x8x3xf32>", "tensor<2x8x7x3xf32>"},
		"channels that do not fit": {"tensor<2x4x4x5xf32>", "tensor<2x4x4x6xf32>"},
		"an empty batch": {"tensor<2x4x4x5xf32>", "tensor<0x4x4x5xf32>", "tensor<2x8x8x3xf32>",
			"tensor<0x8x8x3xf32>"},
		"images spread out too far": {"lhs_dilation = array<i64: 2, 2>", "lhs_dilation = array<i64: 5, 2>",
			"tensor<2x8x8x3xf32>", "tensor<2x17x8x3xf32>"},
		"strides of images spread out": {"window_strides = array<i64: 1, 1>", "window_strides = array<i64: 2, 1>",
			"tensor<2x8x8x3xf32>", "tensor<2x4x8x3xf32>"},
		"a kernel too large": {
			"tensor<3x3x3x5xf32>", "tensor<33x3x3x5xf32>", "[[1, 2], [1, 2]]", "[[16, 17], [1, 2]]",
		},
		"a matrix product": {
			"tensor<3x3x3x5xf32>", "tensor<1x1x3x5xf32>", "lhs_dilation = array<i64: 2, 2>", "lhs_dilation = array<i64: 1, 1>",
			"[[1, 2], [1, 2]]", "[[0, 0], [0, 0]]", "tensor<2x8x8x3xf32>", "tensor<2x4x4x3xf32>",
		},
	} {
		text := strings.NewReplacer(change...).Replace(convolution)
		if out, n := customcall.Rewrite([]byte(text)); text == convolution || n != 0 || string(out) != text {
			t.Errorf("%s: rewritten, or not changed", what)
		}
	}
}
