package model

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/approx"
)

// Another last layer computes W·f + b of the network's features, is read off again as it was put on, and can be
// exchanged in its turn.
func TestWithHead(t *testing.T) {
	m, err := FromFunc(Spec{Name: "means", Height: 2, Width: 2, Channels: 3}, func(b *Builder, x *graph.Node) *graph.Node {
		return graph.MulScalar(b.Features(graph.ReduceMean(x, 1, 2)), 10)
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &Head{Weights: mat.NewDense(2, 3, []float64{1, 2, 3, -1, 0, 1}), Bias: []float64{0.5, -0.25}}
	two, err := m.WithHead("two", h, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	// means 1/4, 1/2, 1/2
	images := tensors.FromFlatDataAndDimensions([]float32{1, 0, 0.5, 0, 0, 0.5, 0, 1, 0.5, 0, 1, 0.5}, 1, 2, 2, 3)
	logits, err := two.Logits(images)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(tensors.MustCopyFlatData[float32](logits), []float32{0.25 + 1 + 1.5 + 0.5, -0.25 + 0.5 - 0.25},
		1e-6); err != nil {
		t.Error(err)
	}
	if two.Name() != "two" || two.NumClasses() != 2 || two.ClassName(1) != "b" {
		t.Errorf("the network is %v", two)
	}
	read, err := two.Head()
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(append(read.Weights.RawMatrix().Data, read.Bias...),
		append(h.Weights.RawMatrix().Data, h.Bias...), 1e-6); err != nil {
		t.Error(err)
	}
	one, err := two.WithHead("four", &Head{Weights: mat.NewDense(4, 3, []float64{0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0}),
		Bias: make([]float64, 4)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if logits, err = one.Logits(images); err != nil {
		t.Fatal(err)
	}
	if err := approx.All(tensors.MustCopyFlatData[float32](logits), []float32{0, 2, 0, 0}, 1e-6); err != nil {
		t.Error(err)
	}
	_, err = m.WithHead("wide", &Head{Weights: mat.NewDense(2, 4, nil), Bias: make([]float64, 2)}, nil)
	wantError(t, err, "for 4 features", "means has 3")
	_, err = m.WithHead("none", nil, nil)
	wantError(t, err, "no last layer")
	_, err = m.WithHead("named", h, []string{"a"})
	wantError(t, err, "2 classes and 1 class names")
	plain, err := FromFunc(Spec{Name: "plain", Height: 2, Width: 2, Channels: 3},
		func(x *graph.Node) *graph.Node { return graph.ReduceMean(x, 1, 2) })
	if err != nil {
		t.Fatal(err)
	}
	_, err = plain.WithHead("two", h, nil)
	wantError(t, err, "plain", "names no features")
}

// The class token is the first of a sequence, a feature and the output, and tokens stay droppable.
func TestClassToken(t *testing.T) {
	m, err := FromFunc(Spec{Name: "sequence", Height: 2, Width: 2, Channels: 2},
		func(b *Builder, x *graph.Node) *graph.Node {
			patches := graph.Reshape(x, -1, 4, 2)
			first := graph.Slice(patches, graph.AxisRange(), graph.AxisRange(2, 3), graph.AxisRange())
			tokens, _ := b.Tokens(graph.Concatenate([]*graph.Node{first, patches}, 1), 2, 2)
			return tokens
		})
	if err != nil {
		t.Fatal(err)
	}
	class, err := m.ClassToken()
	if err != nil {
		t.Fatal(err)
	}
	images := tensors.FromFlatDataAndDimensions([]float32{0, 1, 2, 3, 4, 5, 6, 7}, 1, 2, 2, 2)
	for what, of := range map[string]func(*tensors.Tensor) (*tensors.Tensor, error){"output": class.Output,
		"features": class.Features} {
		got, err := of(images)
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](got), []float32{4, 5}, 1e-6); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if class.Grid() != (Grid{2, 2}) || class.Name() != "sequence" {
		t.Errorf("the network is %v with the grid %v", class, class.Grid())
	}
	_, err = class.ClassToken()
	wantError(t, err, "sequence", "no sequence of tokens")
}
