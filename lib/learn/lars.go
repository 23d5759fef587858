package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// LARS is SGD with momentum whose rate each weight scales by its own length, for large batches:
//
//	g ← (g + WeightDecay·w) · Trust·‖w‖ / (‖g‖ + WeightDecay·‖w‖ + ε),  v ← Momentum·v + g,  w ← w - LearningRate·v
//
// with ε 1e-8. Where ‖w‖ or ‖g‖ is 0 the step is not scaled. You, Gitman and Ginsburg, "Large batch training of
// convolutional networks", 2017, algorithm 1, with the learning rate outside of v, as timm's.
type LARS struct {
	LearningRate float64
	Momentum     float64 // from 0 to less than 1
	WeightDecay  float64
	Trust        float64 // 0 means 0.001
	// Scales says which weights are scaled and decay, by name; nil means all. SimCLR and BYOL leave biases and
	// normalisations out, which are then those of plain SGD.
	Scales func(weight string) bool
}

// Check implements [Optimizer].
func (l LARS) Check() error {
	if err := checkRate(l.LearningRate); err != nil {
		return err
	}
	if err := checkMomentum(l.Momentum); err != nil {
		return err
	}
	if !(l.Trust >= 0) {
		return fmt.Errorf("learn: the trust coefficient of LARS is %v, it is positive, or 0 for 0.001", l.Trust)
	}
	return checkDecay(l.WeightDecay)
}

// Rate implements [Optimizer].
func (l LARS) Rate() float64 { return l.LearningRate }

// Slots implements [Optimizer].
func (l LARS) Slots() []string { return []string{"velocity"} }

// Update implements [Optimizer].
func (l LARS) Update(w Weight) (*graph.Node, []*graph.Node) {
	g := w.Gradient
	if l.Scales == nil || l.Scales(w.Name) {
		trust := l.Trust
		if trust == 0 {
			trust = 0.001
		}
		long, steep := norm(w.Value), norm(g)
		g = graph.Add(g, graph.MulScalar(w.Value, l.WeightDecay))
		by := graph.Div(graph.MulScalar(long, trust), graph.AddScalar(graph.Add(steep, graph.MulScalar(long, l.WeightDecay)),
			1e-8))
		g = graph.Mul(g, whereNonzero(by, long, steep))
	}
	velocity := graph.Add(graph.MulScalar(w.Slots[0], l.Momentum), g)
	return graph.Sub(w.Value, graph.Mul(velocity, w.Rate)), []*graph.Node{velocity}
}

// LAMB is AdamW whose step each weight scales by its own length, for large batches:
//
//	s = m̂/(√v̂ + ε) + WeightDecay·w,  w ← w - LearningRate·s·‖w‖/‖s‖
//
// Where ‖w‖ or ‖s‖ is 0 the step is not scaled. You et al., "Large batch optimization for deep learning", ICLR 2020,
// algorithm 2, with φ(z) = z. Unlike timm's it neither clips the gradient as a whole nor leaves weights without decay
// unscaled.
type LAMB struct {
	LearningRate float64
	Beta1, Beta2 float64 // 0 means 0.9 and 0.999
	Epsilon      float64 // 0 means 1e-6
	WeightDecay  float64
	// Scales says which weights are scaled and decay, by name; nil means all.
	Scales func(weight string) bool
}

// Check implements [Optimizer].
func (l LAMB) Check() error {
	if err := checkRate(l.LearningRate); err != nil {
		return err
	}
	if err := momentsOf(l.Beta1, l.Beta2, l.Epsilon, 1e-6).check(); err != nil {
		return err
	}
	return checkDecay(l.WeightDecay)
}

// Rate implements [Optimizer].
func (l LAMB) Rate() float64 { return l.LearningRate }

// Slots implements [Optimizer].
func (l LAMB) Slots() []string { return momentSlots }

// Update implements [Optimizer].
func (l LAMB) Update(w Weight) (*graph.Node, []*graph.Node) {
	step, slots := momentsOf(l.Beta1, l.Beta2, l.Epsilon, 1e-6).step(w, w.Gradient)
	if l.Scales == nil || l.Scales(w.Name) {
		step = graph.Add(step, graph.MulScalar(w.Value, l.WeightDecay))
		long, far := norm(w.Value), norm(step)
		step = graph.Mul(step, whereNonzero(graph.Div(long, far), long, far))
	}
	return graph.Sub(w.Value, graph.Mul(step, w.Rate)), slots
}

// whereNonzero is a scalar where both others are positive, and 1 else.
func whereNonzero(x, a, b *graph.Node) *graph.Node {
	zero, unit := graph.ZerosLike(a), graph.OnesLike(a)
	both := graph.LogicalAnd(graph.GreaterThan(a, zero), graph.GreaterThan(b, zero))
	return graph.Where(both, x, unit)
}
