package depthwise_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/depthwise"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/model"
)

// Values and gradients, which come of loupe's kernels where there are some, are those of the sum of shifted copies in
// double precision.
func TestValuesAndGradients(t *testing.T) {
	wave := func(seed float64, dims ...int) (*tensors.Tensor, *tensors.Tensor) {
		single, double := make([]float32, dims[0]*dims[1]*dims[2]*dims[3]), make([]float64, dims[0]*dims[1]*dims[2]*dims[3])
		for i := range single {
			single[i] = float32(math.Sin(seed + 2.3*float64(i)))
			double[i] = float64(single[i])
		}
		return tensors.FromFlatDataAndDimensions(single, dims...), tensors.FromFlatDataAndDimensions(double, dims...)
	}
	for _, c := range []struct{ height, width, side, stride, before, after int }{
		{9, 9, 3, 1, 1, 1}, {8, 9, 3, 2, 1, 1}, {8, 8, 3, 2, 0, 1}, {9, 7, 5, 1, 2, 2}, {12, 9, 5, 2, 1, 2},
		{9, 9, 3, 1, 0, 0}, {10, 9, 3, 3, 1, 0}, {6, 6, 2, 1, 0, 1},
		{5, 5, 1, 2, 0, 0}, {5, 5, 1, 1, 1, 2}, {5, 5, 3, 1, 3, 3}, {7, 7, 3, 2, 2, 2}, {7, 7, 3, 2, 5, 4},
		{3, 3, 5, 1, 2, 2},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			all := func(convolve func(x, w *graph.Node, stride int, padding [2][2]int) *graph.Node) func(x,
				w *graph.Node) []*graph.Node {
				return func(x, w *graph.Node) []*graph.Node {
					y := convolve(x, w, c.stride, [2][2]int{{c.before, c.after}, {c.before, c.after}})
					v := graph.Sin(graph.Add(graph.Iota(y.Graph(), y.Shape(), 1), graph.Mul(graph.Iota(y.Graph(), y.Shape(), 2),
						graph.Iota(y.Graph(), y.Shape(), 3))))
					return append([]*graph.Node{y}, graph.Gradient(graph.ReduceAllSum(graph.Mul(v, graph.Square(y))), x, w)...)
				}
			}
			x, exactX := wave(1, 2, c.height, c.width, 19)
			w, exactW := wave(2, c.side, c.side, 1, 19)
			run := func(f func(x, w *graph.Node) []*graph.Node, x, w *tensors.Tensor) []*tensors.Tensor {
				exec, err := model.NewExec(f)
				if err != nil {
					t.Fatal(err)
				}
				results, err := exec.Call(x, w)
				if err != nil {
					t.Fatal(err)
				}
				return results
			}
			got, want := run(all(depthwise.Convolve), x, w), run(all(gradients.Depthwise), exactX, exactW)
			for i, what := range []string{"value", "gradient by the image", "gradient by the kernel"} {
				ours, err := tensors.CopyFlatData[float32](got[i])
				if err != nil {
					t.Fatal(err)
				}
				exact, err := tensors.CopyFlatData[float64](want[i])
				if err != nil {
					t.Fatal(err)
				}
				largest, worst := 0.0, 0.0
				for k := range exact {
					largest, worst = max(largest, math.Abs(exact[k])), max(worst, math.Abs(float64(ours[k])-exact[k]))
				}
				if len(ours) != len(exact) || largest == 0 || !(worst <= 1e-5*largest) {
					t.Errorf("the %s differs by %g of %g", what, worst, largest)
				}
			}
		})
	}
}
