package model

import (
	"fmt"
	"maps"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Extend returns a model of the same network whose outputs are what fn makes of the network's: a score for each
// component of a feature, logits with something taken off, the mean of several layers. All that works on models works
// on it, methods of attribution and attacks too. The weights are shared; more, which may be nil, are weights that fn
// asks its builder for besides, by names that the network has not.
//
// classes are the names of the outputs; nil means unknown. The new outputs become probabilities as the network's do.
func (m *Model) Extend(name string, classes []string, more map[string]*tensors.Tensor,
	fn func(b *Builder, out Outputs) *graph.Node) (*Model, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if fn == nil {
		return nil, fmt.Errorf("model: there is nothing to extend %s by: the function is nil", m.spec.Name)
	}
	weights := maps.Clone(m.weights)
	if weights == nil {
		weights = map[string]*tensors.Tensor{}
	}
	for n, w := range more {
		if weights[n] != nil {
			return nil, fmt.Errorf("model: %s has a weight %q already: give yours another name", m.spec.Name, n)
		}
		weights[n] = w
	}
	other := m.copied()
	other.spec.Name, other.spec.Classes = name, classes
	other.spec.Activation = m.Activation()
	of, probabilities := &Model{architecture: m.architecture, spec: m.spec}, m.spec.Activation == NoActivation
	other.architecture = &architecture{
		build: func(b *Builder, x *graph.Node) *graph.Node {
			b.out.Logits = of.build(b, x)
			if probabilities {
				b.out.Logits = logOf(b.out.Logits)
			}
			out := b.out
			out.m = of
			return fn(b, out)
		},
		dtype:   m.dtype,
		scaleOf: m.scaleOf,
	}
	other.weights, other.own = weights, nil
	return prepared(other)
}
