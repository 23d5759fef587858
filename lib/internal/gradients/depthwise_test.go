package gradients_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/model"
)

// The fast gradient of a depthwise convolution is that of the sum that it is, by the image and by the kernel, and its
// value too.
func TestDepthwiseBothWays(t *testing.T) {
	wave := func(seed float64, dims ...int) *tensors.Tensor {
		values := make([]float64, dims[0]*dims[1]*dims[2]*dims[3])
		for i := range values {
			values[i] = math.Sin(seed + 2.3*float64(i))
		}
		return tensors.FromFlatDataAndDimensions(values, dims...)
	}
	for _, c := range []struct{ height, width, side, stride, before, after int }{
		{9, 9, 3, 1, 1, 1}, {8, 9, 3, 2, 1, 1}, {8, 8, 3, 2, 0, 1}, {9, 7, 5, 1, 2, 2}, {12, 9, 5, 2, 1, 2},
		{9, 9, 3, 1, 0, 0}, {10, 9, 3, 3, 1, 0}, {6, 6, 2, 1, 0, 1},
		{5, 5, 1, 2, 0, 0}, {5, 5, 3, 1, 3, 3}, {7, 7, 3, 2, 2, 2}, // the last but one is larger than the image
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			exec, err := model.NewExec(func(x, w *graph.Node) []*graph.Node {
				var all []*graph.Node
				for _, f := range []func(x, w *graph.Node, stride int, padding [2][2]int) *graph.Node{gradients.Depthwise,
					gradients.DepthwiseBothWays} {
					y := f(x, w, c.stride, [2][2]int{{c.before, c.after}, {c.before, c.after}})
					v := graph.Sin(graph.Add(graph.Iota(y.Graph(), y.Shape(), 1), graph.Mul(graph.Iota(y.Graph(), y.Shape(), 2),
						graph.Iota(y.Graph(), y.Shape(), 3))))
					all = append(all, y)
					all = append(all, graph.Gradient(graph.ReduceAllSum(graph.Mul(v, graph.Square(y))), x, w)...)
				}
				var differences []*graph.Node
				for i := range 3 {
					differences = append(differences, graph.ReduceAllMax(graph.Abs(graph.Sub(all[i], all[3+i]))),
						graph.ReduceAllMax(graph.Abs(all[i])))
				}
				return differences
			})
			if err != nil {
				t.Fatal(err)
			}
			results, err := exec.Call(wave(1, 2, c.height, c.width, 3), wave(2, c.side, c.side, 1, 3))
			if err != nil {
				t.Fatal(err)
			}
			for i, what := range []string{"value", "gradient by the image", "gradient by the kernel"} {
				if d, largest := results[2*i].Value().(float64), results[2*i+1].Value().(float64); !(d <= 1e-12*largest) ||
					largest == 0 {
					t.Errorf("the %s differs by %g of %g", what, d, largest)
				}
			}
		})
	}
}
