package model

import (
	"fmt"
	"maps"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// FromTensors makes a model of weights and an architecture: a graph function as for [FromWeights]. Here
// convolution kernels lie as [KH, KW, I, O] already.
func FromTensors(weights map[string]*tensors.Tensor, spec Spec, fn any) (*Model, error) {
	build, err := graphFunction(fn)
	if err != nil {
		return nil, err
	}
	if spec.Name == "" {
		spec.Name = "network"
	}
	return newModel(spec, maps.Clone(weights), build)
}

// WithWeights returns the same network with other weights, by name, in the layout of [Model.Weights]; those that are
// not given stay. The model itself does not change.
func (m *Model) WithWeights(weights map[string]*tensors.Tensor) (*Model, error) {
	if m.weights == nil {
		return nil, fmt.Errorf("model: %s has no weights of its own to exchange", m.spec.Name)
	}
	all := maps.Clone(m.weights)
	for name, w := range weights {
		old := all[name]
		if old == nil {
			return nil, fmt.Errorf("model: %s has no weight %q%s", m.spec.Name, name, didYouMean(name, sortedKeys(all)))
		}
		if w == nil || !w.Shape().Equal(old.Shape()) {
			return nil, fmt.Errorf("model: weight %q of %s has the shape %s", name, m.spec.Name, old.Shape())
		}
		all[name] = w
	}
	return prepared(&Model{
		BatchSize: m.BatchSize,
		spec:      m.spec,
		id:        fmt.Sprintf("%s#%d", m.spec.Name, lastID.Add(1)),
		build:     m.build,
		weights:   all,
		dtype:     m.dtype,
		execs:     map[string]*graph.Exec{},
	})
}

// Renamed returns the same network under another name, as plots and tables show it.
func (m *Model) Renamed(name string) (*Model, error) {
	other, err := m.WithWeights(nil)
	if err != nil {
		return nil, err
	}
	other.spec.Name = name
	return other, nil
}

// CallWith is [Model.Call] with nodes in the place of weights, by name, as training needs it: gradients go to these
// nodes. Weights that are not given keep their values. See [Builder.BatchNorm] for what giving its running statistics means.
func (m *Model) CallWith(x *graph.Node, weights map[string]*graph.Node) Outputs {
	m.checkGiven(weights)
	return m.callAs(&Builder{given: weights}, x).out
}

// checkGiven panics unless the model has weights of these names.
func (m *Model) checkGiven(weights map[string]*graph.Node) {
	for name := range weights {
		if m.weights[name] == nil {
			panic(fmt.Errorf("model: %s has no weight %q%s", m.spec.Name, name, didYouMean(name, sortedKeys(m.weights))))
		}
	}
}
