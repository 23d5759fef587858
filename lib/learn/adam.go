package learn

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// Adam is Kingma and Ba, "Adam", ICLR 2015, algorithm 1, as PyTorch's: with weight decay g is g + WeightDecay·w.
type Adam struct {
	LearningRate float64
	Beta1, Beta2 float64 // 0 means 0.9 and 0.999
	Epsilon      float64 // 0 means 1e-8
	WeightDecay  float64
	// Decays says to which weights the decay goes, by name; nil means all.
	Decays func(weight string) bool
}

// AdamW is Adam with the weight decay beside the gradient and not through it, as PyTorch's: w ← w -
// rate·WeightDecay·w before the step. Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
type AdamW struct {
	LearningRate float64
	Beta1, Beta2 float64 // 0 means 0.9 and 0.999
	Epsilon      float64 // 0 means 1e-8
	WeightDecay  float64 // PyTorch's default is 0.01
	// Decays says to which weights the decay goes, by name; nil means all.
	Decays func(weight string) bool
}

// moments are Adam's two moments of the gradient.
type moments struct{ beta1, beta2, epsilon float64 }

func momentsOf(beta1, beta2, epsilon, otherwise float64) moments {
	m := moments{beta1, beta2, epsilon}
	if beta1 == 0 {
		m.beta1 = 0.9
	}
	if beta2 == 0 {
		m.beta2 = 0.999
	}
	if epsilon == 0 {
		m.epsilon = otherwise
	}
	return m
}

func (m moments) check() error {
	for _, beta := range []float64{m.beta1, m.beta2} {
		if !(beta > 0 && beta < 1) {
			return fmt.Errorf("learn: a β of Adam's is %v, it lies between 0 and 1", beta)
		}
	}
	if !(m.epsilon > 0) {
		return fmt.Errorf("learn: Adam's ε is %v, it is positive", m.epsilon)
	}
	return nil
}

var momentSlots = []string{"mean", "square"}

// step is the direction m̂/(√v̂ + ε) and the moments after the gradient g.
func (m moments) step(w Weight, g *graph.Node) (step *graph.Node, slots []*graph.Node) {
	mean := graph.Add(graph.MulScalar(w.Slots[0], m.beta1), graph.MulScalar(g, 1-m.beta1))
	square := graph.Add(graph.MulScalar(w.Slots[1], m.beta2), graph.MulScalar(graph.Square(g), 1-m.beta2))
	// 1 - β^t by expm1, because 0.999 in single precision is 5e-5 of 1 - 0.999 away from 0.999.
	corrected := func(moment *graph.Node, beta float64) *graph.Node { return graph.Div(moment, bias(w.Number, beta)) }
	step = graph.Div(corrected(mean, m.beta1), graph.AddScalar(graph.Sqrt(corrected(square, m.beta2)), m.epsilon))
	return step, []*graph.Node{mean, square}
}

// Check implements [Optimizer].
func (a Adam) Check() error {
	if err := checkRate(a.LearningRate); err != nil {
		return err
	}
	if err := momentsOf(a.Beta1, a.Beta2, a.Epsilon, 1e-8).check(); err != nil {
		return err
	}
	return checkDecay(a.WeightDecay)
}

// Rate implements [Optimizer].
func (a Adam) Rate() float64 { return a.LearningRate }

// Slots implements [Optimizer].
func (a Adam) Slots() []string { return momentSlots }

// Update implements [Optimizer].
func (a Adam) Update(w Weight) (*graph.Node, []*graph.Node) {
	g := w.Gradient
	if decayed(a.WeightDecay, a.Decays, w.Name) {
		g = graph.Add(g, graph.MulScalar(w.Value, a.WeightDecay))
	}
	step, slots := momentsOf(a.Beta1, a.Beta2, a.Epsilon, 1e-8).step(w, g)
	return graph.Sub(w.Value, graph.Mul(step, w.Rate)), slots
}

// Check implements [Optimizer].
func (a AdamW) Check() error {
	return Adam{a.LearningRate, a.Beta1, a.Beta2, a.Epsilon, a.WeightDecay, nil}.Check()
}

// Rate implements [Optimizer].
func (a AdamW) Rate() float64 { return a.LearningRate }

// Slots implements [Optimizer].
func (a AdamW) Slots() []string { return momentSlots }

// Update implements [Optimizer].
func (a AdamW) Update(w Weight) (*graph.Node, []*graph.Node) {
	step, slots := momentsOf(a.Beta1, a.Beta2, a.Epsilon, 1e-8).step(w, w.Gradient)
	if decayed(a.WeightDecay, a.Decays, w.Name) {
		step = graph.Add(step, graph.MulScalar(w.Value, a.WeightDecay))
	}
	return graph.Sub(w.Value, graph.Mul(step, w.Rate)), slots
}

// bias is 1 - β^t.
func bias(t *graph.Node, beta float64) *graph.Node {
	return graph.Neg(graph.Expm1(graph.MulScalar(t, math.Log(beta))))
}
