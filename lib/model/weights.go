package model

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/internal/nearest"
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
	return handMade(newModel(spec, maps.Clone(weights), build))
}

// WithWeights returns the same network with other weights, by name, in the layout of [Model.Weights]; those that are
// not given stay. The model itself does not change.
func (m *Model) WithWeights(weights map[string]*tensors.Tensor) (*Model, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if m.weights == nil {
		return nil, fmt.Errorf("model: %s has no weights of its own to exchange", m.spec.Name)
	}
	all := maps.Clone(m.weights)
	for name, w := range weights {
		old := all[name]
		if old == nil {
			return nil, fmt.Errorf("model: %s has no weight %q%s", m.spec.Name, name,
				nearest.DidYouMean(name, slices.Sorted(maps.Keys(all))))
		}
		if w == nil || !w.Shape().Equal(old.Shape()) {
			return nil, fmt.Errorf("model: weight %q of %s has the shape %s", name, m.spec.Name, old.Shape())
		}
		all[name] = w
	}
	other := m.copied()
	other.weights = all
	return other, nil
}

// Renamed returns the same network under another name, as plots and tables show it.
func (m *Model) Renamed(name string) (*Model, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, fmt.Errorf("model: %s renamed to nothing: a model has a name", m.spec.Name)
	}
	other := m.copied()
	other.spec.Name = name
	return other, nil
}

// WithClasses returns the same network with names for its classes, in the order of its outputs.
func (m *Model) WithClasses(names []string) (*Model, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if names != nil && len(names) != m.classes {
		return nil, fmt.Errorf("model: %s has %d classes and %d class names", m.spec.Name, m.classes, len(names))
	}
	other := m.copied()
	other.spec.Classes = slices.Clone(names)
	return other, nil
}
