package customcall_test

import (
	"fmt"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/lib/backend"
)

// BenchmarkConvolutions times layers of networks, forward and by the images, by loupe's kernel and by XLA.
func BenchmarkConvolutions(b *testing.B) {
	needKernels(b)
	engine, err := backend.Get()
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ n, side, ci, co, kernel, stride int }{
		{64, 28, 1, 8, 3, 1}, {64, 14, 8, 16, 3, 1}, {64, 14, 6, 16, 5, 1}, {64, 32, 3, 16, 3, 1}, {64, 32, 16, 16, 3, 1},
		{64, 32, 16, 32, 3, 2},
		{64, 16, 32, 32, 3, 1}, {64, 8, 64, 64, 3, 1}, {8, 14, 256, 256, 3, 1}, {8, 224, 3, 32, 3, 2}, {8, 224, 3, 64, 7, 2},
	} {
		around := c.kernel / 2
		out := (c.side+2*around-c.kernel)/c.stride + 1
		zeros := func(d ...int) *tensors.Tensor {
			return tensors.FromFlatDataAndDimensions(make([]float32, d[0]*d[1]*d[2]*d[3]), d...)
		}
		x, w, d := zeros(c.n, c.side, c.side, c.ci), zeros(c.kernel, c.kernel, c.ci, c.co), zeros(c.n, out, out, c.co)
		for _, what := range []string{"forward", "by images"} {
			for _, whose := range []string{"loupe", "XLA"} {
				b.Run(fmt.Sprintf("%+v/%s/%s", c, what, whose), func(b *testing.B) {
					defer customcall.Choose(whose == "loupe")()
					exec, err := graph.NewExec(engine, func(x, w, d *graph.Node) *graph.Node {
						y := graph.Convolve(x, w).Strides(c.stride).PaddingPerDim([][2]int{{around, around}, {around, around}}).Done()
						if what == "forward" {
							return y
						}
						return graph.Gradient(graph.ReduceAllSum(graph.Mul(y, d)), x)[0]
					})
					if err != nil {
						b.Fatal(err)
					}
					defer exec.Finalize()
					for i := -1; i < b.N; i++ { // the first compiles
						if i == 0 {
							b.ResetTimer()
						}
						results, err := exec.Call(x, w, d)
						if err != nil {
							b.Fatal(err)
						}
						results[0].FinalizeAll()
					}
				})
			}
		}
	}
}
