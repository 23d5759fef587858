package model

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

// member is a linear classifier of 2x2 images with weights of its own.
func member(t *testing.T, seed uint64, mean float64) *Model {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	w := make([]float32, 3*4)
	for i := range w {
		w[i] = float32(4 * rng.NormFloat64())
	}
	m, err := FromTensors(map[string]*tensors.Tensor{"linear.weight": tensors.FromFlatDataAndDimensions(w, 3, 4)},
		Spec{Name: "member", Height: 2, Width: 2, Channels: 1, Mean: []float64{mean}, Std: []float64{0.5}},
		func(b *Builder, x *graph.Node) *graph.Node {
			return b.Linear("linear", graph.Reshape(x, x.Shape().Dimensions[0], 4))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func squares(n int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(9, 9))
	flat := make([]float32, n*4)
	for i := range flat {
		flat[i] = rng.Float32()
	}
	return tensors.FromFlatDataAndDimensions(flat, n, 2, 2, 1)
}

func TestAnEnsembleIsTheMeanOfProbabilities(t *testing.T) {
	a, b := member(t, 1, 0.2), member(t, 2, 0.7)
	e, err := Ensemble("both", a, b)
	if err != nil {
		t.Fatal(err)
	}
	x := squares(5)
	probabilities := func(m *Model) []float32 {
		t.Helper()
		p, err := m.Probabilities(x)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](p)
	}
	double, err := e.Double()
	if err != nil {
		t.Fatal(err)
	}
	pa, pb, pe, pd := probabilities(a), probabilities(b), probabilities(e), probabilities(double)
	for i := range pe {
		want := float64(pa[i]+pb[i]) / 2
		if !approx.Equal(pe[i], want, 1e-6) || !approx.Equal(pd[i], want, 1e-6) {
			t.Errorf("probability %d is %v, in double precision %v, want %v", i, pe[i], pd[i], want)
		}
	}
	// Its members' weights travel into loops too.
	loop, err := NewExec(func(x *graph.Node) *graph.Node {
		return Loop(1, []*graph.Node{x}, func(_ *graph.Node, state []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.Gradient(graph.ReduceAllSum(graph.Slice(e.Call(state[0]).Logits, graph.AxisRange(),
				graph.AxisElem(0))), state[0])[0]}
		}, e)[0]
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := loop.Call1(x)
	if err != nil {
		t.Fatal(err)
	}
	want, err := e.InputGradient(x, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	wanted := tensors.MustCopyFlatData[float32](want)
	for i, v := range tensors.MustCopyFlatData[float32](got) {
		if !approx.Equal(v, wanted[i], 1e-5) {
			t.Fatalf("in a loop gradient %d is %v, want %v", i, v, wanted[i])
		}
	}
}

func TestEnsemblesAndWeightsRefuse(t *testing.T) {
	a := member(t, 1, 0.2)
	other, err := FromFunc(Spec{Height: 3, Width: 2, Channels: 1},
		func(x *graph.Node) *graph.Node { return graph.Reshape(x, x.Shape().Dimensions[0], 6) })
	if err != nil {
		t.Fatal(err)
	}
	double, err := a.Double()
	if err != nil {
		t.Fatal(err)
	}
	for says, do := range map[string]func() error{
		"at least one member":   func() error { _, err := Ensemble(""); return err },
		"the same images":       func() error { _, err := Ensemble("", a, other); return err },
		"one precision":         func() error { _, err := Ensemble("", a, double); return err },
		"no weights of its own": func() error { _, err := other.WithWeights(nil); return err },
		"linear.weight": func() error {
			_,
				err := a.WithWeights(map[string]*tensors.Tensor{"linear.wieght": nil})
			return err
		},
		"has the shape (Float32)": func() error {
			_, err := a.WithWeights(map[string]*tensors.Tensor{"linear.weight": squares(1)})
			return err
		},
		`no weight "head"`: func() error {
			exec, err := NewExec(func(x *graph.Node) *graph.Node {
				return a.CallAs(x, CallOptions{Weights: map[string]*graph.Node{"head": x}}).Logits
			})
			if err != nil {
				return err
			}
			_, err = exec.Call1(squares(1))
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

// Nodes in the place of weights give what a model with these weights gives, and the gradient goes to them.
func TestCallAsPutsNodesInThePlaceOfWeights(t *testing.T) {
	a, b := member(t, 1, 0.2), member(t, 2, 0.2)
	x := squares(3)
	exec, err := NewExec(func(x, w *graph.Node) []*graph.Node {
		logits := a.CallAs(x, CallOptions{Weights: map[string]*graph.Node{"linear.weight": w}}).Logits
		return []*graph.Node{logits, graph.Gradient(graph.ReduceAllSum(logits), w)[0]}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(x, b.Weights()["linear.weight"])
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := a.WithWeights(b.Weights())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Model{b, swapped} {
		want, err := m.Logits(x)
		if err != nil {
			t.Fatal(err)
		}
		wanted := tensors.MustCopyFlatData[float32](want)
		for i, v := range tensors.MustCopyFlatData[float32](out[0]) {
			if !approx.Equal(v, wanted[i], 1e-6) {
				t.Errorf("logit %d is %v, want %v", i, v, wanted[i])
			}
		}
	}
	// d Σ logits / d w[k, d] is the sum of the normalised pixel d over the images.
	pixels := tensors.MustCopyFlatData[float32](x)
	for i, v := range tensors.MustCopyFlatData[float32](out[1]) {
		var sum float64
		for n := range 3 {
			sum += (float64(pixels[n*4+i%4]) - 0.2) / 0.5
		}
		if !approx.Equal(v, sum, 1e-5) {
			t.Errorf("gradient %d is %v, want %v", i, v, sum)
		}
	}
}
