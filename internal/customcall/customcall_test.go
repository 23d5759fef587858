package customcall_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/backend"
	_ "github.com/loupeml/loupe/lib/model" // registers the gradients that GoMLX's graphs take
)

// layer is a convolution of images [n, h, w, ci] with a kernel [kh, kw, ci, co].
type layer struct {
	n, h, w, ci, kh, kw, co int
	strides, dilations      [2]int
	padding                 [2][2]int // of rows, of columns
}

func (l layer) out(axis int) int {
	size, kernel := [2]int{l.h, l.w}[axis], [2]int{l.kh, l.kw}[axis]
	return (size+l.padding[axis][0]+l.padding[axis][1]-(kernel-1)*l.dilations[axis]-1)/l.strides[axis] + 1
}

// gradient is what XLA gives for the gradient by the kernel of the sum of outputs times d.
func (l layer) gradient(x, d []float32) ([]float32, error) {
	b, err := backend.Get()
	if err != nil {
		return nil, err
	}
	exec, err := graph.NewExec(b, func(x, w, d *graph.Node) *graph.Node {
		y := graph.Convolve(x, w).StridePerAxis(l.strides[:]...).DilationPerAxis(l.dilations[:]...).
			PaddingPerDim([][2]int{l.padding[0], l.padding[1]}).Done()
		return graph.Gradient(graph.ReduceAllSum(graph.Mul(y, d)), w)[0]
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	results, err := exec.Call(tensors.FromFlatDataAndDimensions(x, l.n, l.h, l.w, l.ci),
		tensors.FromFlatDataAndDimensions(make([]float32, l.kh*l.kw*l.ci*l.co), l.kh, l.kw, l.ci, l.co),
		tensors.FromFlatDataAndDimensions(d, l.n, l.out(0), l.out(1), l.co))
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](results[0])
}

// exact is the same sum in double precision, term by term as the definition has it.
func (l layer) exact(x, d []float32) []float64 {
	sum := make([]float64, l.kh*l.kw*l.ci*l.co)
	oh, ow := l.out(0), l.out(1)
	for n := range l.n {
		for i := range oh {
			for j := range ow {
				out := d[((n*oh+i)*ow+j)*l.co:][:l.co]
				for r := range l.kh {
					for s := range l.kw {
						y := i*l.strides[0] + r*l.dilations[0] - l.padding[0][0]
						z := j*l.strides[1] + s*l.dilations[1] - l.padding[1][0]
						if y < 0 || y >= l.h || z < 0 || z >= l.w {
							continue
						}
						for c, v := range x[((n*l.h+y)*l.w+z)*l.ci:][:l.ci] {
							to := sum[((r*l.kw+s)*l.ci+c)*l.co:][:l.co]
							for o, g := range out {
								to[o] += float64(v) * float64(g)
							}
						}
					}
				}
			}
		}
	}
	return sum
}

// layers are of real networks first, then drawn: every remainder of channels, strides, dilations, uneven padding,
// kernels as large as the image.
func layers(count int) []layer {
	same := [2][2]int{{1, 1}, {1, 1}}
	one := [2]int{1, 1}
	list := []layer{
		{4, 32, 32, 3, 3, 3, 16, one, one, same},
		{4, 32, 32, 16, 3, 3, 32, [2]int{2, 2}, one, same},
		{3, 8, 8, 64, 3, 3, 64, one, one, same},
		{17, 7, 7, 40, 1, 1, 72, one, one, [2][2]int{}},
		{2, 30, 30, 3, 7, 7, 64, [2]int{2, 2}, one, [2][2]int{{3, 3}, {3, 3}}},
		{1, 40, 90, 24, 3, 3, 20, one, one, same}, // one image, wider than a stripe
		{2, 6, 6, 200, 3, 3, 130, one, one, same}, // a result larger than its pixels
		{5, 4, 4, 6, 4, 4, 10, one, one, [2][2]int{}},
	}
	r := rand.New(rand.NewPCG(7, 7))
	for len(list) < count {
		upTo := func(n int) int { return 1 + r.IntN(n) }
		l := layer{n: upTo(20), h: upTo(14), w: upTo(14), ci: upTo(30), kh: upTo(5), kw: upTo(5), co: upTo(50)}
		for axis := range 2 {
			l.strides[axis], l.dilations[axis] = 1+r.IntN(3), 1+r.IntN(3)
			if l.dilations[axis] > 1 {
				l.strides[axis] = 1 // GoMLX takes one of them
			}
			most := min(3, ([2]int{l.kh, l.kw}[axis]-1)*l.dilations[axis]/2*2) // GoMLX takes no more
			l.padding[axis] = [2]int{r.IntN(most + 1), r.IntN(most + 1)}
		}
		if l.dilations[0] > 1 || l.dilations[1] > 1 {
			l.strides = one
		}
		rows, columns := l.h+l.padding[0][0]+l.padding[0][1], l.w+l.padding[1][0]+l.padding[1][1]
		if rows > (l.kh-1)*l.dilations[0] && columns > (l.kw-1)*l.dilations[1] {
			list = append(list, l)
		}
	}
	return list
}

// random are images, and a gradient by the outputs.
func (l layer) random(seed uint64) (x, d []float32) {
	r := rand.New(rand.NewPCG(seed, 1))
	numbers := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	return numbers(l.n * l.h * l.w * l.ci), numbers(l.n * l.out(0) * l.out(1) * l.co)
}

func TestGradientsByKernelsAgreeWithDoublePrecision(t *testing.T) {
	needKernels(t)
	agree(t)
	if customcall.Vectors() != "AVX-512" {
		return
	}
	customcall.LimitVectors(8)
	defer customcall.LimitVectors(16)
	if customcall.Vectors() != "AVX2" {
		t.Fatalf("it is %q", customcall.Vectors())
	}
	agree(t)
}

// agree compares a hundred layers with the definition.
func agree(t *testing.T) {
	t.Helper()
	defer customcall.Choose(false)()
	before := replaced(t)
	for i, l := range layers(100) {
		x, d := l.random(uint64(i))
		got, err := l.gradient(x, d)
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		want := l.exact(x, d)
		largest, worst := 0.0, 0.0
		for k := range want {
			largest = max(largest, math.Abs(want[k]))
			worst = max(worst, math.Abs(float64(got[k])-want[k]))
		}
		if !(worst <= 1e-5*largest) {
			t.Errorf("%s: %+v: %v away, the largest value is %v", customcall.Vectors(), l, worst, largest)
		}
	}
	if n := replaced(t) - before; n != 100 {
		t.Errorf("loupe's kernels computed %d of 100", n)
	}
}

// replaced is in how many places of this process's programs loupe's kernels stand.
func replaced(t *testing.T) int {
	t.Helper()
	info, err := backend.Describe()
	if err != nil {
		t.Fatal(err)
	}
	return info.Programs.Replaced
}

// TestBitsDoNotDependOnThreads has other processes compute on pools of other sizes.
func TestBitsDoNotDependOnThreads(t *testing.T) {
	needKernels(t)
	if os.Getenv("LOUPE_TEST_BITS") != "" {
		customcall.Choose(true)
		for i, l := range layers(12) {
			got, err := l.gradient(l.random(uint64(i)))
			if err != nil {
				t.Fatal(err)
			}
			x, d := l.random(uint64(i))
			y, dx, err := l.both(x, l.kernel(uint64(i)), d)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("bits %x\n", sha256.Sum256(fmt.Append(nil, got, y, dx)))
		}
		return
	}
	sameBits(t, 12)
}

// sameBits has other processes run the test on pools of 1, 2 and 7 threads, in which it prints so many lines "bits …".
func sameBits(t *testing.T, lines int) {
	t.Helper()
	var want []string
	for _, threads := range []string{"1", "2", "7"} {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "LOUPE_TEST_BITS=1", "NPROC="+threads)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var bits []string
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "bits ") {
				bits = append(bits, line)
			}
		}
		if want == nil {
			want = bits
		}
		if len(bits) != lines || !slices.Equal(bits, want) {
			t.Errorf("with %s threads: %v, with 1: %v", threads, bits, want)
		}
	}
}

// staysAsItIs changes a text that would be rewritten, each time in one way, and wants nothing in it to be rewritten
// then.
func staysAsItIs(t *testing.T, text string, changes map[string][2]string) {
	t.Helper()
	for what, change := range changes {
		other := strings.Replace(text, change[0], change[1], 1)
		if other == text {
			t.Fatalf("%s: the text has no %s", what, change[0])
		}
		if out, n := customcall.Rewrite([]byte(other)); n != 0 || string(out) != other {
			t.Errorf("%s: rewritten", what)
		}
	}
}

func TestProgramsAtOnceDoNotDisturbEachOther(t *testing.T) {
	needKernels(t)
	defer customcall.Choose(true)()
	list := layers(8)
	do := func(i int) []float32 {
		x, d := list[i].random(uint64(i))
		got, err := list[i].gradient(x, d)
		if err != nil {
			t.Error(err)
		}
		y, dx, err := list[i].both(x, list[i].kernel(uint64(i)), d)
		if err != nil {
			t.Error(err)
		}
		return slices.Concat(got, y, dx)
	}
	var alone [8][]float32
	for i := range list {
		alone[i] = do(i)
	}
	var wait sync.WaitGroup
	for range 5 {
		for i := range list {
			wait.Go(func() {
				if !slices.Equal(do(i), alone[i]) {
					t.Errorf("%+v: other values beside others", list[i])
				}
			})
		}
	}
	wait.Wait()
}

// TestPlain has another process compute without the kernels.
func TestPlain(t *testing.T) {
	needKernels(t)
	if os.Getenv("LOUPE_TEST_PLAIN") != "" {
		info, err := backend.Describe()
		fmt.Println("says", info.Kernels, err)
		return
	}
	for value, want := range map[string]string{
		"1":   "says XLA: switched off by LOUPE_XLA_PLAIN=1",
		"0":   "says loupe, with " + customcall.Vectors(),
		"yes": `LOUPE_XLA_PLAIN is "yes": it is 1 to leave everything to XLA, or 0`,
	} {
		for _, cache := range []string{"", "off"} {
			cmd := exec.Command(os.Args[0], "-test.run=^TestPlain$")
			cmd.Env = append(os.Environ(), "LOUPE_TEST_PLAIN=1", "LOUPE_XLA_PLAIN="+value, "LOUPE_COMPILE_CACHE="+cache)
			out, _ := cmd.CombinedOutput()
			if !strings.Contains(string(out), want) {
				t.Errorf("LOUPE_XLA_PLAIN=%s, cache %q: %s", value, cache, out)
			}
		}
	}
}

func TestOnlyKnownGradientsByKernelsAreRewritten(t *testing.T) {
	const gradient = `    %183 = "stablehlo.convolution"(%7, %a.b_176) {
      batch_group_count = 1 : i64,
      dimension_numbers = #stablehlo.conv<[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]>,
      feature_group_count = 1 : i64,
      lhs_dilation = array<i64: 1, 1>,
      padding = dense<[[1, 0], [2, 1]]> : tensor<2x2xi64>,
      precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>],
      rhs_dilation = array<i64: 2, 2>,
      window_reversal = array<i1: false, false>,
      window_strides = array<i64: 1, 1>
    } : (tensor<5x8x8x1xf32>, tensor<5x4x4x8xf32>) -> tensor<3x5x1x8xf32>
`
	out, n := customcall.Rewrite([]byte(gradient + gradient))
	calls := strings.Count(string(out), `"stablehlo.custom_call"(%7, %a.b_176) {`)
	if n != 2 || calls != 2 || !strings.Contains(string(out), "array<i64: 2, 2, 1, 1, 1, 2>") {
		t.Errorf("%d rewritten:\n%s", n, out)
	}
	staysAsItIs(t, gradient, map[string][2]string{
		"groups":                    {"feature_group_count = 1", "feature_group_count = 2"},
		"groups of the batch":       {"batch_group_count = 1", "batch_group_count = 5"},
		"a transposed convolution":  {"lhs_dilation = array<i64: 1, 1>", "lhs_dilation = array<i64: 2, 1>"},
		"double precision":          {"xf32>) -> tensor<3x5x1x8xf32>", "xf64>) -> tensor<3x5x1x8xf64>"},
		"another order of axes":     {"[0, 1, b, f]>", "[b, f, 0, 1]>"},
		"a reversed window":         {"array<i1: false, false>", "array<i1: true, false>"},
		"shapes that do not fit":    {"tensor<3x5x1x8xf32>", "tensor<3x4x1x8xf32>"},
		"nothing in it":             {"tensor<5x8x8x1xf32>", "tensor<0x8x8x1xf32>"},
		"a number beyond all sizes": {"tensor<5x8x8x1xf32>", "tensor<5x8x99999999999999x1xf32>"},
		"dimensions not known":      {"tensor<5x8x8x1xf32>", "tensor<?x8x8x1xf32>"},
	})
}

// needKernels skips where the processor has no vectors that the kernels are for; that the plugin takes none is a fault.
func needKernels(t testing.TB) {
	t.Helper()
	testenv.Asset(t, "xla-cpu")
	if customcall.Vectors() == "" {
		t.Skip("needs AVX2")
	}
}
