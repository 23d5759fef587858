package model

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// A network of tokens without attention: what the class token hears of the patches is their mean, which is why it may
// not be used with room left.
func tokenNetwork(t *testing.T) *Model {
	t.Helper()
	m, err := FromFunc(Spec{Name: "tokens", Height: 4, Width: 6, Channels: 1},
		func(b *Builder, x *graph.Node) *graph.Node {
			n := x.Shape().Dimensions[0]
			x = graph.Reshape(graph.TransposeAllAxes(graph.Reshape(x, n, 2, 2, 3, 2, 1), 0, 1, 3, 2, 4, 5), n, 6, 4)
			x = graph.Concatenate([]*graph.Node{graph.ZerosLike(x), x}, 1)
			x, attend := b.Tokens(graph.Slice(x, graph.AxisRange(), graph.AxisRange(5), graph.AxisRange()), 2, 3)
			scores := graph.ReduceSum(x, -1) // [N, T]
			if attend != nil {
				scores = graph.Add(scores, graph.Reshape(attend, n, -1))
			}
			return graph.Einsum("nt,ntd->nd", graph.Softmax(scores, -1), x)
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Whatever room the sequence has, the outputs are those of the tokens that are kept.
func TestRoomForTokensDoesNotMatter(t *testing.T) {
	m := tokenNetwork(t)
	if m.Grid() != (Grid{2, 3}) {
		t.Fatalf("the grid is %v", m.Grid())
	}
	rng := rand.New(rand.NewPCG(1, 1))
	flat := make([]float32, 5*24)
	for i := range flat {
		flat[i] = rng.Float32()
	}
	images := tensors.FromFlatDataAndDimensions(flat, 5, 4, 6, 1)
	keep := tensors.FromFlatDataAndDimensions([]float32{1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0,
		0, 0, 0, 1, 0, 1, 1, 0}, 5, 6)
	run := func(capacity int) []float32 {
		exec, err := NewExec(func(x, keep *graph.Node) *graph.Node {
			return m.CallAs(x, CallOptions{Keep: &Keep{keep, capacity}}).Logits
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Call1(images, keep)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](out)
	}
	want := run(6)
	for capacity := 3; capacity < 6; capacity++ {
		if e := worst(t, run(capacity), want, 4*5); !(e < 1e-6) {
			t.Errorf("with room for %d the outputs differ by %g", capacity, e)
		}
	}
	whole, err := m.Output(images)
	if err != nil {
		t.Fatal(err)
	}
	if e := worst(t, tensors.MustCopyFlatData[float32](whole), want, 4*5); !(e >= 1e-3) {
		t.Error("dropping tokens changes nothing")
	}
}

func TestKeepNamesWhatIsWrong(t *testing.T) {
	plain, err := FromFunc(Spec{Name: "plain", Height: 4, Width: 6, Channels: 1},
		func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, 24) })
	if err != nil {
		t.Fatal(err)
	}
	images := tensors.FromScalarAndDimensions(float32(0), 2, 4, 6, 1)
	for _, c := range []struct {
		m        *Model
		patches  int
		capacity int
		want     string
	}{
		{plain, 6, 6, "no tokens"},
		{tokenNetwork(t), 5, 6, "[N, 6]"},
		{tokenNetwork(t), 6, 0, "cannot be"},
		{tokenNetwork(t), 6, 7, "cannot be"},
	} {
		exec, err := NewExec(func(x, keep *graph.Node) *graph.Node {
			return c.m.CallAs(x, CallOptions{Keep: &Keep{keep, c.capacity}}).Logits
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exec.Call(images, tensors.FromScalarAndDimensions(float32(1), 2, c.patches)); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("the error is %v, want it to say %q", err, c.want)
		}
	}
}

func TestAnUnknownOutputOfAnONNXFileIsNamed(t *testing.T) {
	_, err := FromONNX("testdata/autopad.onnx", Spec{Output: "convolution"})
	if err == nil || !strings.Contains(err.Error(), `no value "convolution"`) {
		t.Errorf("the error is %v", err)
	}
}
