package model

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

// The fast gradient of a depthwise convolution is that of the sum that it is, by the image and by the kernel, and its value too.
func TestDepthwiseBothWays(t *testing.T) {
	wave := func(seed float64, dims ...int) *tensors.Tensor {
		values := make([]float64, dims[0]*dims[1]*dims[2]*dims[3])
		for i := range values {
			values[i] = math.Sin(seed + 2.3*float64(i))
		}
		return tensors.FromFlatDataAndDimensions(values, dims...)
	}
	for _, c := range []struct{ height, width, side, stride, before, after int }{
		{9, 9, 3, 1, 1, 1}, {8, 9, 3, 2, 1, 1}, {8, 8, 3, 2, 0, 1}, {9, 7, 5, 1, 2, 2}, {12, 9, 5, 2, 1, 2}, {9, 9, 3, 1, 0, 0}, {10, 9, 3, 3, 1, 0}, {6, 6, 2, 1, 0, 1},
		{5, 5, 1, 2, 0, 0}, {5, 5, 3, 1, 3, 3}, {7, 7, 3, 2, 2, 2}, // the last but one is larger than the image
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			exec, err := NewExec(func(x, w *graph.Node) []*graph.Node {
				var all []*graph.Node
				for _, f := range []func(x, w *graph.Node, stride int, padding [2][2]int) *graph.Node{depthwise, depthwiseBothWays} {
					y := f(x, w, c.stride, [2][2]int{{c.before, c.after}, {c.before, c.after}})
					v := graph.Sin(graph.Add(graph.Iota(y.Graph(), y.Shape(), 1), graph.Mul(graph.Iota(y.Graph(), y.Shape(), 2), graph.Iota(y.Graph(), y.Shape(), 3))))
					all = append(all, y)
					all = append(all, graph.Gradient(graph.ReduceAllSum(graph.Mul(v, graph.Square(y))), x, w)...)
				}
				var differences []*graph.Node
				for i := range 3 {
					differences = append(differences, graph.ReduceAllMax(graph.Abs(graph.Sub(all[i], all[3+i]))), graph.ReduceAllMax(graph.Abs(all[i])))
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
				if d, largest := results[2*i].Value().(float64), results[2*i+1].Value().(float64); !(d <= 1e-12*largest) || largest == 0 {
					t.Errorf("the %s differs by %g of %g", what, d, largest)
				}
			}
		})
	}
}

// A loop on the device over a network with a depthwise convolution and max-pooling goes the way of its steps one by one.
func TestDepthwiseInALoop(t *testing.T) {
	values := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(math.Sin(1 + 2.3*float64(i)))
		}
		return v
	}
	m, err := FromTensors(map[string]*tensors.Tensor{
		"conv.weight":   tensors.FromFlatDataAndDimensions(values(27), 3, 3, 1, 3),
		"linear.weight": tensors.FromFlatDataAndDimensions(values(6), 2, 3),
	}, Spec{Name: "depthwise", Height: 6, Width: 6, Channels: 3}, func(b *Builder, x *graph.Node) *graph.Node {
		x = graph.MaxPool(b.ReLU("relu", b.Conv2D("conv", x, 2, 1))).Window(2).Strides(1).Done()
		return b.Linear("linear", b.Features(graph.ReduceMean(x, 1, 2)))
	})
	if err != nil {
		t.Fatal(err)
	}
	up := func(x *graph.Node) *graph.Node {
		logit := graph.ReduceAllSum(graph.Slice(m.Call(x).Logits, graph.AxisRange(), graph.AxisRange(0, 1)))
		return graph.Add(x, graph.Gradient(logit, x)[0])
	}
	run := func(f func(x *graph.Node) *graph.Node) []float32 {
		t.Helper()
		exec, err := m.Exec(nil, func(in []*graph.Node) *graph.Node { return f(in[0]) })
		if err != nil {
			t.Fatal(err)
		}
		result, err := exec.Call1(tensors.FromFlatDataAndDimensions(values(2*6*6*3), 2, 6, 6, 3))
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](result)
	}
	looped := run(func(x *graph.Node) *graph.Node {
		return Loop(3, []*graph.Node{x}, func(_ *graph.Node, s []*graph.Node) []*graph.Node { return []*graph.Node{up(s[0])} }, m)[0]
	})
	for i, want := range run(func(x *graph.Node) *graph.Node { return up(up(up(x))) }) {
		if !approx.Equal(looped[i], want, 1e-5) {
			t.Fatalf("the loop gives %g where its steps give %g", looped[i], want)
		}
	}
}
