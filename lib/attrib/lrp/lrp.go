// Package lrp explains a model by layer-wise relevance propagation (LRP) and concept relevance propagation (CRP).
//
// LRP shares a logit out among the values of the layer before, these among those of the layer before that, and so on
// to the pixels; a [Rule] says how, and a [Composite] which rule goes to which layer. CRP does the same for what
// flows through chosen channels, the concepts, of chosen layers.
//
// All is done on the graph that a model builds, after the fact, so any model will do: a checkpoint, an ONNX file, a
// function written in a cell. A layer is found by what is computed: a product of values that depend on the image with
// weights that do not, together with the scaling and shifting that follows it, whichever operations it was written in.
// Batch normalisation after a layer becomes part of its weights before a rule looks at their signs.
//
// The normalisation of pixels by a model's mean and standard deviation is no layer: it passes
// relevance through, so what comes out is the relevance of the normalised pixels, as other implementations,
// which are given those, define it.
//
// Attention takes its weights as constants, and a layer normalisation passes relevance through. Transformers want
// [ZPlus] or [Gamma] for dense layers, as [GammaFlat], their default, has it: through the small denominators of
// [Epsilon] relevance grows from block to block.
package lrp

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/model"
)

// LRP is layer-wise relevance propagation, an [attrib.Method]: how much of the logit each value of the image is
// responsible for, [N, H, W, C]. The values sum to the logit less what biases and stabilisers absorb; Delta says by how
// much they fail to.
//
// Bach et al., PLoS ONE 10 (2015); Montavon et al., "Layer-Wise Relevance Propagation: An Overview" (2019).
type LRP struct {
	// Composite says which rule goes where; the zero value means [EpsilonPlusFlat], and [GammaFlat] for a network with
	// attention.
	Composite Composite
}

// Name is "LRP" with the composite's name, if one is given.
func (l LRP) Name() string {
	if l.Composite.Name != "" {
		return "LRP " + l.Composite.Name
	}
	return "LRP"
}

type lrpKey struct{ composite compositeKey }

// Attribute implements [attrib.Method].
func (l LRP) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*attrib.Attribution, error) {
	c, err := compositeFor(l.Composite, m)
	if err != nil {
		return nil, err
	}
	l.Composite = c
	if classes, err = m.TargetClasses(images, classes); err != nil {
		return nil, err
	}
	results, stopped := m.Map(l.Name(), lrpKey{c.key()}, func(in []*graph.Node) []*graph.Node {
		x := m.Cast(in[0])
		out := m.CallAs(x, model.CallOptions{Plain: true})
		start := m.OnlyClass(out.Logits, in[1])
		r := newWalk(c, x, out).run(start)
		return []*graph.Node{single(r), single(graph.Sub(graph.ReduceSum(r, 1, 2, 3), graph.ReduceSum(start, 1)))}
	}, images, model.ClassTensor(classes))
	if results == nil {
		return nil, ours(stopped)
	}
	a := attrib.NewAttribution(l, m, results[0], classes)
	deltas, err := tensors.CopyFlatData[float32](results[1])
	if err != nil {
		return nil, fmt.Errorf("lrp: %w", err)
	}
	for _, d := range deltas {
		a.Delta = append(a.Delta, float64(d))
	}
	return a, stopped
}

// compositeFor is a composite ready for use, or an error if it does not fit the model.
func compositeFor(c Composite, m *model.Model) (Composite, error) {
	attention := false
	if c.unsaid() {
		err := m.Trace(func(g *graph.Graph) {
			spec := m.Spec()
			x := m.Cast(graph.Parameter(g, "images", shapes.Make(dtypes.Float32, 1, spec.Height, spec.Width, spec.Channels)))
			attention = newNetwork(x, m.CallAs(x, model.CallOptions{Plain: true}).Logits, nil).attends()
		})
		if err != nil {
			return c, err
		}
	}
	c = c.orDefault(attention)
	if err := c.check(); err != nil {
		return c, err
	}
	for name := range c.Named {
		if err := m.CheckLayer(name); err != nil {
			return c, err
		}
	}
	return c, nil
}

// single converts what a network computed to float32, also where it computes in double precision.
func single(x *graph.Node) *graph.Node { return graph.ConvertDType(x, dtypes.Float32) }

// ours takes away what was put before an error of this package on its way through a graph function.
func ours(err error) error { return failure.Ours(err, "lrp: ") }
