package gradients_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/lib/model"

	"github.com/loupeml/loupe/internal/approx"
)

// A convolution is linear in its input, so ⟨gradient of ⟨v, conv(x)⟩, d⟩ is ⟨v, conv(d)⟩ for any d.
func TestConvolutionGradient(t *testing.T) {
	wave := func(seed float64, dims ...int) *tensors.Tensor {
		size := 1
		for _, d := range dims {
			size *= d
		}
		v := make([]float64, size)
		for i := range v {
			v[i] = math.Sin(seed + 2.3*float64(i))
		}
		return tensors.FromFlatDataAndDimensions(v, dims...)
	}
	for _, c := range []struct{ side, stride, before, after, groups int }{
		{3, 1, 1, 1, 1}, {2, 1, 0, 0, 1}, {2, 2, 0, 0, 1}, {2, 1, 0, 1, 1}, {4, 2, 1, 1, 1}, {4, 4, 0, 0, 1}, {4, 3, 2, 1, 1},
		{2, 1, 0, 0, 2}, {3, 2, 0, 0, 2}, {3, 1, 1, 1, 3}, {3, 2, 1, 1, 6}, {4, 3, 2, 1, 3},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			exec, err := model.NewExec(func(x, d, kernel *graph.Node) []*graph.Node {
				conv := func(x *graph.Node) *graph.Node {
					return graph.Convolve(x, kernel).Strides(c.stride).PaddingPerDim([][2]int{{c.before, c.after},
						{c.before, c.after}}).ChannelGroupCount(c.groups).Done()
				}
				y := conv(x)
				v := graph.Sin(graph.Iota(y.Graph(), y.Shape(), 1))
				v = graph.Add(v, graph.Cos(graph.Mul(graph.Iota(y.Graph(), y.Shape(), 2), graph.Iota(y.Graph(), y.Shape(), 3))))
				gradient := graph.Gradient(graph.ReduceAllSum(graph.Mul(v, y)), x)[0]
				return []*graph.Node{graph.ReduceAllSum(graph.Mul(gradient, d)), graph.ReduceAllSum(graph.Mul(v, conv(d)))}
			})
			if err != nil {
				t.Fatal(err)
			}
			results, err := exec.Call(wave(1, 2, 9, 9, 6), wave(2, 2, 9, 9, 6), wave(3, c.side, c.side, 6/c.groups, 12))
			if err != nil {
				t.Fatal(err)
			}
			got, want := results[0].Value().(float64), results[1].Value().(float64)
			if !approx.Equal(got, want, 1e-9*math.Abs(want)) || want == 0 {
				t.Errorf("the gradient gives %g along a direction, the convolution itself %g", got, want)
			}
		})
	}
}
