package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
)

// Activation is what turns a classifier's outputs into probabilities. Every method of this library goes by it.
type Activation int

// The activations.
const (
	// AutoActivation is the zero Activation: the one that an ONNX file ends in, and else Softmax. Outputs that are
	// probabilities already are then an error: say NoActivation of them.
	AutoActivation Activation = iota
	// Softmax is for classes that exclude each other: the outputs are logits, and the probabilities of an image sum
	// to 1.
	Softmax
	// Sigmoid is for K labels of which each is true or not, by itself: the outputs are logits, and the probability of
	// each is its sigmoid. A network with one output tells two classes apart: class 1, whose logit is the output, and
	// class 0, whose logit is its negative.
	Sigmoid
	// NoActivation is for outputs that are probabilities already, and sum to 1. Their logarithms stand for the logits.
	NoActivation
)

func (a Activation) String() string {
	switch a {
	case AutoActivation:
		return "found"
	case Softmax:
		return "softmax"
	case Sigmoid:
		return "sigmoid"
	case NoActivation:
		return "no activation"
	}
	return fmt.Sprintf("Activation(%d)", int(a))
}

func (a Activation) check() error {
	if a < AutoActivation || a > NoActivation {
		return fmt.Errorf("model: there is no activation %d: Softmax, Sigmoid and NoActivation are", int(a))
	}
	return nil
}

// Activation is how the model's outputs become probabilities: [Softmax] or [Sigmoid], since of probabilities the
// logarithms are the logits.
func (m *Model) Activation() Activation {
	m.mustBeThere()
	if m.spec.Activation == Sigmoid {
		return Sigmoid
	}
	return Softmax
}

// binary reports whether one output tells two classes apart.
func (m *Model) binary() bool {
	return m.spec.Activation == Sigmoid && len(m.output) == 1 && m.output[0] == 1
}

// NeedsSoftmax returns an error for a model whose classes do not exclude each other, in the name of what is defined
// only for those that do.
func (m *Model) NeedsSoftmax(what string) error {
	if m.Activation() != Softmax {
		return needsSoftmax(what, m.spec.Name)
	}
	return nil
}

func needsSoftmax(what, whose string) error {
	return fmt.Errorf("%s takes classes that exclude each other, whose probabilities sum to 1: the outputs of %s "+
		"become probabilities by a sigmoid each", what, whose)
}

// ProbabilitiesFrom makes probabilities of logits, [..., K], as [Outputs.Logits] has them; of a network with one
// output, [..., 1], those of its two classes, [..., 2].
func (m *Model) ProbabilitiesFrom(logits *graph.Node) *graph.Node {
	switch {
	case m.binary():
		return graph.Sigmoid(graph.Concatenate([]*graph.Node{graph.Neg(logits), logits}, -1))
	case m.Activation() == Sigmoid:
		return graph.Sigmoid(logits)
	}
	return graph.Softmax(logits)
}

// LogProbabilitiesFrom are the logarithms of [Model.ProbabilitiesFrom], without underflow.
func (m *Model) LogProbabilitiesFrom(logits *graph.Node) *graph.Node {
	switch {
	case m.binary():
		return graph.Neg(Softplus(graph.Concatenate([]*graph.Node{logits, graph.Neg(logits)}, -1)))
	case m.Activation() == Sigmoid:
		return graph.Neg(Softplus(graph.Neg(logits)))
	}
	return graph.LogSoftmax(logits)
}

// ClassLogits picks from logits, [N, K], the one of each image's class, [N]; classes is [N] int32. Of one output it is
// the output for class 1 and its negative for class 0.
func (m *Model) ClassLogits(logits, classes *graph.Node) *graph.Node {
	return graph.ReduceSum(m.OnlyClass(logits, classes), -1)
}

// OnlyClass is [Model.ClassLogits] where each logit stands, [N, K], with zeros for those of other classes.
func (m *Model) OnlyClass(logits, classes *graph.Node) *graph.Node {
	if m.binary() {
		// -1 or 1, without a constant, which a loop's body must not share with what is around it.
		one := graph.ConvertDType(classes, logits.DType())
		return graph.Mul(logits, graph.ExpandAxes(graph.Sub(graph.Add(one, one), graph.OnesLike(one)), -1))
	}
	return graph.Mul(logits, graph.OneHot(classes, m.classes, logits.DType()))
}

// ClassProbabilities picks from logits, [N, K], the probability of each image's class, [N]; classes is [N] int32.
func (m *Model) ClassProbabilities(logits, classes *graph.Node) *graph.Node {
	probabilities := m.ProbabilitiesFrom(logits)
	return graph.ReduceSum(graph.Mul(probabilities, graph.OneHot(classes, m.classes, probabilities.DType())), -1)
}

// Likeliest is the class with the largest probability, [N] int32, of logits [N, K].
func (m *Model) Likeliest(logits *graph.Node) *graph.Node {
	if m.binary() {
		logits = graph.Concatenate([]*graph.Node{graph.Neg(logits), logits}, -1)
	}
	return graph.ArgMax(logits, -1)
}

// activate makes probabilities of n rows of logits in Go.
func activate(by Activation, logits []float32, n int) []float32 {
	width := len(logits) / n
	binary := by == Sigmoid && width == 1
	out := make([]float32, 0, n*max(width, 2))
	sigmoid := func(v float32) float32 { return float32(1 / (1 + math.Exp(-float64(v)))) }
	for i := range n {
		row := logits[i*width : (i+1)*width]
		switch {
		case binary:
			out = append(out, sigmoid(-row[0]), sigmoid(row[0]))
		case by == Sigmoid:
			for _, v := range row {
				out = append(out, sigmoid(v))
			}
		default:
			largest, sum := slices.Max(row), 0.0
			for _, v := range row {
				sum += math.Exp(float64(v - largest))
			}
			for _, v := range row {
				out = append(out, float32(math.Exp(float64(v-largest))/sum))
			}
		}
	}
	return out
}

// logOf is the logarithm of probabilities, of which none is taken to be smaller than the smallest number of full
// precision.
func logOf(p *graph.Node) *graph.Node {
	return graph.Log(graph.Max(p, graph.Scalar(p.Graph(), p.DType(), 1.2e-38)))
}
