package model

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
)

// The last layer, read off the derivatives, is that of the file.
func TestHeadIsTheLastLayer(t *testing.T) {
	for _, c := range []struct {
		load         func(t *testing.T) string
		weight, bias string
	}{
		{func(t *testing.T) string { return testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors") }, "linear.weight",
			"linear.bias"},
		{func(t *testing.T) string { testenv.Asset(t, "efficientnet-lite0"); return "efficientnet-lite0" }, "_fc.weight",
			"_fc.bias"},
	} {
		t.Run(c.weight, func(t *testing.T) {
			m := mustLoad(t, c.load(t))
			h, err := m.Head()
			if err != nil {
				t.Fatal(err)
			}
			want := tensors.MustCopyFlatData[float32](m.weights[c.weight])
			k, d := h.Weights.Dims()
			if k*d != len(want) {
				t.Fatalf("the head is %d x %d, and the file's weight has %d values", k, d, len(want))
			}
			for i, v := range want {
				if got := h.Weights.At(i/d, i%d); !approx.Equal(got, v, 1e-6) {
					t.Fatalf("weight %d is %g, in the file %g", i, got, v)
				}
			}
			for i, v := range tensors.MustCopyFlatData[float32](m.weights[c.bias]) {
				if !approx.Equal(h.Bias[i], v, 2e-4) {
					t.Fatalf("bias %d is %g, in the file %g", i, h.Bias[i], v)
				}
			}
		})
	}
}

func TestHeadThatIsNotLinear(t *testing.T) {
	m, err := FromFunc(Spec{Name: "bent", Height: 4, Width: 4, Channels: 3}, func(b *Builder, x *graph.Node) *graph.Node {
		f := b.Features(graph.ReduceMean(x, 1, 2))
		return graph.Square(f)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Head()
	wantError(t, err, "bent", "no linear function")
	m, err = FromFunc(Spec{Name: "plain", Height: 4, Width: 4, Channels: 3},
		func(x *graph.Node) *graph.Node { return graph.ReduceMean(x, 1, 2) })
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Head()
	wantError(t, err, "plain", "names no features")
}

// An extended model computes from the network's outputs and from weights of its own, in gradients and loops too.
func TestExtend(t *testing.T) {
	m := tiny(t)
	factors := tensors.FromValue([]float32{2, 3, 4})
	wide, err := m.Extend("wide", []string{"a", "b", "c"}, map[string]*tensors.Tensor{"factors": factors},
		func(b *Builder, out Outputs) *graph.Node {
			return graph.Mul(out.Logits, graph.ExpandAxes(b.Weight("factors"), 0))
		})
	if err != nil {
		t.Fatal(err)
	}
	x := flat([3]float32{0.1, 0.2, 0.3}, [3]float32{0.9, 0.5, 0.1})
	before, err := m.Logits(x)
	if err != nil {
		t.Fatal(err)
	}
	after, err := wide.Logits(x)
	if err != nil {
		t.Fatal(err)
	}
	was := tensors.MustCopyFlatData[float32](before)
	for i := range was {
		was[i] *= []float32{2, 3, 4}[i%3]
	}
	near(t, "the extended logits", after, was...)
	one, err := m.InputGradient(x, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	three, err := wide.InputGradient(x, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	gradient := tensors.MustCopyFlatData[float32](one)
	for i := range gradient {
		gradient[i] *= 3
	}
	near(t, "the extended gradient", three, gradient...)
	if wide.ClassName(2) != "c" {
		t.Errorf("class 2 is %s", wide.ClassName(2))
	}
	_, err = wide.Extend("again", nil, map[string]*tensors.Tensor{"factors": factors},
		func(_ *Builder, out Outputs) *graph.Node { return out.Logits })
	wantError(t, err, "wide", `has a weight "factors"`)
}
