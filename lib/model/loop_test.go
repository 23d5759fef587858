package model

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/internal/approx"
)

// A loop on the device over a network with a depthwise convolution and max-pooling goes the way of its steps one by
// one.
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
		return Loop(3, []*graph.Node{x}, func(_ *graph.Node, s []*graph.Node) []*graph.Node {
			return []*graph.Node{up(s[0])}
		}, m)[0]
	})
	for i, want := range run(func(x *graph.Node) *graph.Node { return up(up(up(x))) }) {
		if !approx.Equal(looped[i], want, 1e-5) {
			t.Fatalf("the loop gives %g where its steps give %g", looped[i], want)
		}
	}
}
