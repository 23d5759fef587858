package normalise

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/lib/backend"
)

// ordinary is a normalisation of ordinary operations, whose gradients are GoMLX's.
func ordinary(x, scale, offset *graph.Node, groups int, relu bool) *graph.Node {
	d := x.Shape().Dimensions
	apart, over := graph.Reshape(x, d[0], d[1]*d[2], d[3], 1), []int{0, 1}
	if groups > 0 {
		apart, over = graph.Reshape(x, d[0], d[1]*d[2], groups, d[3]/groups), []int{1, 3}
	}
	apart = graph.Sub(apart, graph.ReduceAndKeep(apart, graph.ReduceMean, over...))
	variance := graph.ReduceAndKeep(graph.Square(apart), graph.ReduceMean, over...)
	y := graph.Reshape(graph.Div(apart, graph.Sqrt(graph.AddScalar(variance, 1e-5))), d...)
	y = graph.Add(graph.Mul(y, graph.Reshape(scale, 1, 1, 1, d[3])), graph.Reshape(offset, 1, 1, 1, d[3]))
	if relu {
		y = graph.Max(graph.ZerosLike(y), y)
	}
	return y
}

// The results, the gradients and the gradients of these are those of ordinary operations, by loupe's kernels and, in
// another process, by the functions that XLA has without them.
func TestNormalisationsAreThoseOfOrdinaryOperations(t *testing.T) {
	b, err := backend.Get()
	if err != nil {
		t.Fatal(err)
	}
	kernels := backend.Kernels(b)
	if !b.Capabilities().Functions {
		t.Skip("skipped: needs a backend with functions")
	}
	for _, c := range []struct {
		groups int
		relu   bool
	}{{0, true}, {4, false}, {1, true}} {
		groups, relu := c.groups, c.relu
		t.Run(fmt.Sprintf("%d groups, ReLU %v", groups, relu), func(t *testing.T) {
			dims := []int{5, 6, 7, 12}
			all := func(of func(x, scale, offset *graph.Node) *graph.Node, x, scale, offset, v *graph.Node) []*graph.Node {
				y := of(x, scale, offset)
				first := graph.Gradient(graph.ReduceAllSum(graph.Mul(graph.Sin(y), v)), x, scale, offset)
				sum := graph.ReduceAllSum(graph.Mul(graph.Sin(first[0]), v))
				for _, g := range first[1:] {
					sum = graph.Add(sum, graph.ReduceAllSum(graph.Cos(g)))
				}
				out := append([]*graph.Node{y}, first...)
				return append(out, graph.Gradient(sum, x, scale, offset, v)...)
			}
			exec, err := graph.NewExec(b, func(x, scale, offset, v *graph.Node) []*graph.Node {
				own := all(func(x, scale, offset *graph.Node) *graph.Node {
					if Known(x, scale, offset) != kernels {
						t.Errorf("known without kernels, or unknown with")
					}
					var y *graph.Node
					if groups == 0 {
						y, _, _ = Batch(x, scale, offset, 1e-5)
					} else {
						y = Group(x, scale, offset, groups, 1e-5)
					}
					if n, ok := Of(y); !ok || n.Groups != groups || n.ReLU {
						t.Errorf("the result is told as %+v, %v", n, ok)
					}
					if relu {
						if y = ReLU(y); y == nil || ReLU(y) != nil {
							t.Errorf("there is no ReLU, or a second one")
						}
					}
					return y
				}, x, scale, offset, v)
				return append(own, all(func(x, scale, offset *graph.Node) *graph.Node {
					return ordinary(x, scale, offset, groups,
						relu)
				}, x, scale, offset, v)...)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer exec.Finalize()
			r := rand.New(rand.NewPCG(1, uint64(groups)))
			random := func(dims ...int) *tensors.Tensor {
				size := 1
				for _, d := range dims {
					size *= d
				}
				v := make([]float32, size)
				for i := range v {
					v[i] = float32(r.NormFloat64())
				}
				return tensors.FromFlatDataAndDimensions(v, dims...)
			}
			results, err := exec.Call(random(dims...), random(12), random(12), random(dims...))
			if err != nil {
				t.Fatal(err)
			}
			half := len(results) / 2
			for i, what := range []string{"result", "gradient by x", "by scale", "by offset", "second by x", "second by scale",
				"second by offset", "second by v"} {
				got, want := tensors.MustCopyFlatData[float32](results[i]), tensors.MustCopyFlatData[float32](results[half+i])
				largest, worst := 0.0, 0.0
				for k := range want {
					largest, worst = max(largest, math.Abs(float64(want[k]))), max(worst, math.Abs(float64(got[k])-float64(want[k])))
				}
				if len(got) != len(want) || !(worst <= 2e-5*largest) || largest == 0 {
					t.Errorf("the %s is %v away, the largest value is %v", what, worst, largest)
				}
			}
		})
	}
	if !kernels {
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestNormalisationsAreThoseOfOrdinaryOperations$")
	cmd.Env = append(os.Environ(), customcall.Variable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("without kernels: %v\n%s", err, out)
	}
}
