package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/loupeml/loupe/internal/nearest"
)

// FromScope makes a model of a GoMLX model function, written with scopes and variables as for training, and a
// store that holds its variables' values. fn takes the images, [N, H, W, C], normalised by the
// spec's Mean and Std, and returns the logits, [N, K].
//
// The variables are those of the store: when they are trained further, the model is too.
func FromScope(store *gomlx.Store, spec Spec, fn func(scope *gomlx.Scope, x *graph.Node) *graph.Node) (*Model, error) {
	if store == nil || fn == nil {
		return nil, fmt.Errorf("model: FromScope takes a store and a model function, one of them is nil")
	}
	if spec.Name == "" {
		spec.Name = "scope"
	}
	build := func(b *Builder, x *graph.Node) *graph.Node { return fn(store.RootScope(), x) }
	return prepared(&Model{
		architecture: &architecture{build: build, dtype: dtypes.Float32},
		spec:         spec,
		store:        store,
	})
}

// passStore has the variables that a graph uses passed along with its arguments.
func (m *Model) passStore(g *graph.Graph) {
	s, ok := g.State(sidesKey{}).(*sides)
	if !ok {
		if gomlx.GetStore(g) != m.store {
			panic(fmt.Errorf("model: %s keeps its weights in GoMLX variables: run its graph functions with model.NewExec",
				m.spec.Name))
		}
		return // GoMLX's own executor passes them
	}
	for v := range m.store.IterVariables() {
		if !v.InUseByGraph(g) {
			continue
		}
		if !v.HasValue() {
			panic(fmt.Errorf("model: %s uses a variable %s that its checkpoint does not have%s", m.spec.Name, v.Path(),
				nearest.DidYouMean(v.Path(), m.variablesWithValue())))
		}
		param := g.GetParameterByName(v.Path())
		if _, passed := s.byName[v.Path()]; passed {
			continue
		}
		if param == nil {
			panic(fmt.Errorf("model: variable %s of %s is first used inside a loop: name the model to Loop", v.Path(),
				m.spec.Name))
		}
		s.byName[v.Path()] = param
		s.list = append(s.list, side{param: param.GetParameterHandle(),
			value: func() (*tensors.Tensor, error) { return v.Value() }})
	}
}

func (m *Model) variablesWithValue() []string {
	var names []string
	for v := range m.store.IterVariables() {
		if v.HasValue() {
			names = append(names, v.Path())
		}
	}
	return names
}
