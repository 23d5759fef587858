// Package distill has a student network learn from a teacher's answers, and measures how faithful it becomes: how often
// it answers as the teacher does, which is another question than how often it is right.
//
// After Stanton, Izmailov, Kirichenko, Alemi and Wilson, "Does Knowledge Distillation Really Work?", NeurIPS 2021
// (arXiv 2106.05945), and Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531.
// Where their program (samuelstanton/gnosis) computes something else, what it computes has a name that begins with
// Released.
package distill

import "github.com/gomlx/gomlx/core/graph"

// Loss is how far a student's answers are from its teacher's, of each example, [B]: of their logits, [B, K] both, at a
// temperature of each example, [B, 1]. The logits are of one floating point type. Gradients go to the student alone.
// [SoftCrossEntropy], [UnscaledCrossEntropy], [KL] and [Brier] are such.
type Loss func(teacher, student, temperature *graph.Node) *graph.Node

// SoftCrossEntropy is the cross entropy of the softened answers times T², so that its gradient keeps its size when T
// grows:
//
//	-T² Σ_k p_k log q_k,  p = softmax(teacher/T), q = softmax(student/T)
//
// in nats. Hinton et al., section 2.
func SoftCrossEntropy(teacher, student, temperature *graph.Node) *graph.Node {
	return graph.Mul(graph.Squeeze(graph.Square(temperature), -1), UnscaledCrossEntropy(teacher, student, temperature))
}

// UnscaledCrossEntropy is [SoftCrossEntropy] without the factor T².
func UnscaledCrossEntropy(teacher, student, temperature *graph.Node) *graph.Node {
	p, q := softened(teacher, temperature), graph.LogSoftmax(graph.Div(student, temperature))
	return graph.Neg(graph.ReduceSum(graph.Mul(graph.Exp(p), q), -1))
}

// KL is the divergence of the softened answers, Σ_k p_k (log p_k - log q_k) in nats, without a factor T², as the
// released program's loss of that name. At T = 1 it has the gradient of the cross entropies.
func KL(teacher, student, temperature *graph.Node) *graph.Node {
	p, q := softened(teacher, temperature), graph.LogSoftmax(graph.Div(student, temperature))
	return graph.ReduceSum(graph.Mul(graph.Exp(p), graph.Sub(p, q)), -1)
}

// Brier is the mean over the classes of the squared difference of the softened probabilities, 1/K Σ_k (p_k - q_k)².
func Brier(teacher, student, temperature *graph.Node) *graph.Node {
	p, q := softened(teacher, temperature), graph.LogSoftmax(graph.Div(student, temperature))
	return graph.ReduceMean(graph.Square(graph.Sub(graph.Exp(p), graph.Exp(q))), -1)
}

// softened is the logarithm of the teacher's softened probabilities, to which no gradient goes.
func softened(teacher, temperature *graph.Node) *graph.Node {
	return graph.LogSoftmax(graph.StopGradient(graph.Div(teacher, temperature)))
}
