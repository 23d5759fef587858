package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// SGD is stochastic gradient descent as PyTorch's:
//
//	g ← g + WeightDecay·w,  v ← Momentum·v + g,  w ← w - LearningRate·(v, or g + Momentum·v with Nesterov)
//
// The learning rate is no part of v (as it is in Sutskever et al., ICML 2013). A Momentum of 0 keeps no v.
type SGD struct {
	LearningRate float64
	Momentum     float64 // from 0 to less than 1
	Nesterov     bool
	WeightDecay  float64
	// Decays says to which weights the decay goes, by name; nil means all.
	Decays func(weight string) bool
}

// Check implements [Optimizer].
func (s SGD) Check() error {
	if err := checkRate(s.LearningRate); err != nil {
		return err
	}
	if err := checkMomentum(s.Momentum); err != nil {
		return err
	}
	if s.Nesterov && s.Momentum == 0 {
		return fmt.Errorf("learn: Nesterov's step needs a momentum")
	}
	return checkDecay(s.WeightDecay)
}

// Rate implements [Optimizer].
func (s SGD) Rate() float64 { return s.LearningRate }

// Slots implements [Optimizer].
func (s SGD) Slots() []string {
	if s.Momentum == 0 {
		return nil
	}
	return []string{"velocity"}
}

// Update implements [Optimizer].
func (s SGD) Update(w Weight) (*graph.Node, []*graph.Node) {
	step := w.Gradient
	if decayed(s.WeightDecay, s.Decays, w.Name) {
		step = graph.Add(step, graph.MulScalar(w.Value, s.WeightDecay))
	}
	if s.Momentum == 0 {
		return graph.Sub(w.Value, graph.Mul(step, w.Rate)), nil
	}
	velocity := graph.Add(graph.MulScalar(w.Slots[0], s.Momentum), step)
	if s.Nesterov {
		step = graph.Add(step, graph.MulScalar(velocity, s.Momentum))
	} else {
		step = velocity
	}
	return graph.Sub(w.Value, graph.Mul(step, w.Rate)), []*graph.Node{velocity}
}
