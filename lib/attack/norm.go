// Package attack changes images until a network errs: adversarial examples.
package attack

import "github.com/gomlx/gomlx/core/graph"

// Norm measures how far an image has been changed.
type Norm int

// The norms, of the difference of two images over all pixels and channels in units of 0..1.
const (
	L2   Norm = iota // the root of the sum of squares
	LInf             // the largest absolute value
)

func (n Norm) String() string { return map[Norm]string{L2: "L2", LInf: "L∞"}[n] }

const tiny = 1e-12

// direction is the steepest one, of length 1.
func (n Norm) direction(gradient *graph.Node) *graph.Node {
	if n == LInf {
		return graph.Sign(gradient)
	}
	return graph.Div(gradient, graph.AddScalar(length(gradient), tiny))
}

// project brings a point back into the ball around x, and then into 0..1. The radius is [B, 1, 1, 1].
func (n Norm) project(radius, x, to *graph.Node) *graph.Node {
	by := graph.Sub(to, x)
	if n == LInf {
		by = graph.Max(graph.Min(by, radius), graph.Neg(radius))
	} else {
		far := length(by)
		by = graph.Mul(graph.Div(by, graph.AddScalar(far, tiny)), graph.Min(far, radius))
	}
	return graph.ClipScalar(graph.Add(x, by), 0, 1)
}

// size is the norm of each row, [B, 1, 1, 1].
func (n Norm) size(x *graph.Node) *graph.Node {
	if n == LInf {
		return graph.ReduceAndKeep(graph.Abs(x), graph.ReduceMax, 1, 2, 3)
	}
	return length(x)
}

// length is the L2 norm of each row, [B, 1, 1, 1].
func length(x *graph.Node) *graph.Node {
	return graph.Sqrt(graph.ReduceAndKeep(graph.Square(x), graph.ReduceSum, 1, 2, 3))
}
