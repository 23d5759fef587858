package model

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/loupeml/loupe/internal/nearest"
)

// CallOptions is what is special about a call of a model's graph. The zero value is the network as it classifies.
type CallOptions struct {
	// Weights stand in for the model's weights of these names, as training needs it: gradients go to these nodes.
	// Weights that are not given keep their values.
	Weights map[string]*graph.Node
	// BatchStats says which batch normalisations, by name, take the mean and variance of the batch, as in training; nil
	// is none; those of an ONNX file have no name and never do. What their running statistics become is in
	// Outputs.Updates. See [Builder.BatchNorm].
	BatchStats func(name string) bool
	// Noise, unless nil, has dropout drop, and each weight that is a distribution be drawn from it, once for the
	// whole call; in [Builder.Conv2D] and [Builder.Linear] each image has a draw nearly of its own.
	Noise Noise
	// Keep, unless nil, drops the tokens of patches.
	Keep *Keep
	// Plain leaves out what is in the graph only to make gradients fast, for those who read the graph, as package lrp
	// does, rather than take its gradient.
	Plain bool
}

// Keep says with which tokens each image goes on, after the positions have been added: with those of its patches for
// which Patches is 1, and with those that stand for no patch. This is how Jain et al., ICLR 2022, section 2, take
// parts of an image away from a vision transformer.
//
// The shorter sequence has room for Capacity patches, 1 up to all, and Patches must not keep more of any image. An
// image that keeps fewer has places left, which attention does not look at: the outputs are those of dropping
// exactly, and one program serves all masks of a batch. Of the outputs only Logits and Features are promised. A model
// without a [Model.Grid] cannot drop tokens.
type Keep struct {
	Patches  *graph.Node // [N, Rows·Columns] in the order of reading, 1 or 0
	Capacity int
}

// Call builds the model's graph on images x, [N, H, W, C] float32 in 0..1, within any graph
// function run by [NewExec]; for loops see [Loop]. It panics on a wrong shape, as graph functions do.
func (m *Model) Call(x *graph.Node) Outputs { return m.CallAs(x, CallOptions{}) }

// CallAs is [Model.Call] in a special way. It panics on what does not fit the model.
func (m *Model) CallAs(x *graph.Node, how CallOptions) Outputs {
	for name := range how.Weights {
		if m.weights[name] == nil {
			panic(fmt.Errorf("model: %s has no weight %q%s", m.spec.Name, name,
				nearest.DidYouMean(name, slices.Sorted(maps.Keys(m.weights)))))
		}
	}
	b := &Builder{given: how.Weights, training: how.BatchStats, noise: how.Noise, plain: how.Plain}
	if k := how.Keep; k != nil {
		p := m.grid.Patches()
		if p == 0 {
			panic(fmt.Errorf("model: %s has no tokens that could be dropped: its architecture does not call Tokens",
				m.spec.Name))
		}
		if d := k.Patches.Shape().Dimensions; len(d) != 2 || d[0] != x.Shape().Dimensions[0] || d[1] != p {
			panic(fmt.Errorf("model: %s takes which patches to keep as [N, %d], not %v, for %d images", m.spec.Name, p, d,
				x.Shape().Dimensions[0]))
		}
		if k.Capacity < 1 || k.Capacity > p {
			panic(fmt.Errorf("model: %s has %d patches, a sequence for %d of them cannot be", m.spec.Name, p, k.Capacity))
		}
		b.kept = &Keep{graph.ConvertDType(k.Patches, dtypes.Float32), k.Capacity}
	}
	return m.callAs(b, x).out
}

// callAs builds the network with a builder that says what is special.
func (m *Model) callAs(b *Builder, x *graph.Node) *Builder {
	if err := m.checkShape(x.Shape()); err != nil {
		panic(err)
	}
	x = m.Cast(x)
	b.m, b.g, b.out = m, x.Graph(), Outputs{Activations: map[string]*graph.Node{}, Maps: map[string]*graph.Node{}, m: m}
	if m.parts == nil { // each member of an ensemble normalises for itself
		x = normalize(x, m.spec.Mean, m.spec.Std)
	}
	logits := m.build(b, x)
	if m.store != nil {
		m.passStore(x.Graph())
	}
	if logits == nil {
		panic(fmt.Errorf("model: the graph function of %s returned nil", m.spec.Name))
	}
	n := x.Shape().Dimensions[0]
	if b.copied {
		n *= b.copies
	}
	if logits.Rank() < 2 || logits.Shape().Dimensions[0] != n {
		panic(fmt.Errorf("model: the graph function of %s must return logits [N, K], it returned %s for %d images",
			m.spec.Name, logits.Shape(), n))
	}
	b.out.Logits = logits
	if m.spec.Activation == NoActivation {
		b.out.Logits = logOf(logits)
	}
	return b
}
