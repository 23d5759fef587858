package selfsup

import (
	"fmt"
	"maps"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// head is a small network behind a backbone's features: a linear layer, batch normalisation where there is one, ReLU,
// and a linear layer. Its layers are called name.in, name.norm, name.relu and name.out.
type head struct {
	name        string
	hidden, out int
	norm        bool
}

func (h head) draw(w *draw.Weights, from int) {
	w.Uniform(h.name+".in", from, h.hidden, h.hidden, from)
	if h.norm {
		w.Norm(h.name+".norm", h.hidden)
	}
	w.Uniform(h.name+".out", h.hidden, h.out, h.out, h.hidden)
}

// call is the head on x, [N, D].
func (h head) call(b *model.Builder, x *graph.Node) *graph.Node {
	x = b.Linear(h.name+".in", x)
	if h.norm {
		d := x.Shape().Dimensions
		x = graph.Reshape(b.BatchNorm(h.name+".norm", graph.Reshape(x, d[0], 1, 1, d[1]), 1e-5), d...)
	}
	return b.Linear(h.name+".out", b.ReLU(h.name+".relu", x))
}

// backbone is what is known of a network that is to be trained.
type backbone struct {
	m     *model.Model
	width int             // of its features
	used  map[string]bool // the weights that lead to them
}

// backboneOf looks at a network without compiling it.
func backboneOf(m *model.Model) (backbone, error) {
	b := backbone{m: m, used: map[string]bool{}}
	spec := m.Spec()
	err := m.Trace(func(g *graph.Graph) {
		weights, names := map[string]*graph.Node{}, map[*graph.Node]string{}
		for name, w := range m.Weights() {
			weights[name] = graph.Parameter(g, name, w.Shape())
			names[weights[name]] = name
		}
		x := graph.Parameter(g, "images", imageShape(2, spec))
		features := m.CallAs(x, model.CallOptions{Weights: weights}).Features
		if features == nil {
			panic(fmt.Errorf("selfsup: %s names no features, which is what is learnt here: record them with the Builder's "+
				"Features when you make the model", m.Name()))
		}
		b.width = features.Shape().Size() / 2
		seen, left := map[*graph.Node]bool{}, []*graph.Node{features}
		for len(left) > 0 {
			n := left[len(left)-1]
			if left = left[:len(left)-1]; seen[n] {
				continue
			}
			if seen[n] = true; names[n] != "" {
				b.used[names[n]] = true
			}
			left = append(left, n.Inputs()...)
		}
	})
	return b, err
}

// extended is a backbone with heads behind it, one after the other.
func (b backbone) extended(seed uint64, heads ...head) (*model.Model, error) {
	w := draw.New("", seed, 16)
	from := b.width
	for _, h := range heads {
		h.draw(w, from)
		from = h.out
	}
	m, err := b.m.Extend(b.m.Name(), nil, w.All, func(b *model.Builder, out model.Outputs) *graph.Node {
		x := out.Features
		x = graph.Reshape(x, x.Shape().Dimensions[0], -1)
		for _, h := range heads {
			x = h.call(b, x)
		}
		return x
	})
	if err != nil {
		return nil, err
	}
	m.BatchSize = b.m.BatchSize
	return m, nil
}

// Trained is a backbone with the weights that a run made by this package has given it. The layers behind its features,
// such as a classifier, are what they were. (The run's own network, trained.Nets[Online], is the backbone with heads
// behind it, and its features are the backbone's: transfer.FixedFeatures and transfer.KNN take it as it is.)
func Trained(m *model.Model, trained *learn.Trained) (*model.Model, error) {
	if m == nil || trained == nil || trained.Nets[Online] == nil {
		return nil, fmt.Errorf("selfsup: a backbone gets the weights of a run's network %q, and there is none", Online)
	}
	got, own := trained.Nets[Online].Weights(), m.Weights()
	for name := range maps.Keys(own) {
		if got[name] == nil || !got[name].Shape().Equal(own[name].Shape()) {
			return nil, fmt.Errorf("selfsup: what was trained has no weight %q of %s in its shape: it is another network",
				name, m.Name())
		}
		own[name] = got[name]
	}
	return m.WithWeights(own)
}
