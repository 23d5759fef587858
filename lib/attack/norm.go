// Package attack changes images until a network errs: adversarial examples.
package attack

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// Norm measures how far an image has been changed.
type Norm int

// The norms, of the difference of two images over all pixels and channels in units of 0..1.
const (
	L2   Norm = iota // the root of the sum of squares
	LInf             // the largest absolute value
)

func (n Norm) String() string { return map[Norm]string{L2: "L2", LInf: "L∞"}[n] }

// Check tells whether an attack, named in its error, can work in the norm and within a radius.
func (n Norm) Check(what string, eps float64) error {
	switch {
	case n != L2 && n != LInf:
		return fmt.Errorf("attack: there is no norm %d: L2 and LInf are", int(n))
	case !(eps > 0) || math.IsInf(eps, 0):
		return fmt.Errorf("attack: %s needs a radius Eps above 0, not %g", what, eps)
	}
	return nil
}

const tiny = 1e-12

// Direction is where a gradient, [B, H, W, C], points, for each row: a step of length 1 in the norm that raises the
// objective most.
func (n Norm) Direction(gradient *graph.Node) *graph.Node {
	if n == LInf {
		return graph.Sign(gradient)
	}
	return graph.Div(gradient, graph.AddScalar(length(gradient), tiny))
}

// Within shortens changes, [B, H, W, C], to the radius, a scalar or [B, 1, 1, 1], where they are longer: the projection
// onto the ball around 0.
func (n Norm) Within(radius, by *graph.Node) *graph.Node {
	if n == LInf {
		return graph.Max(graph.Min(by, radius), graph.Neg(radius))
	}
	far := length(by)
	return graph.Mul(graph.Div(by, graph.AddScalar(far, tiny)), graph.Min(far, radius))
}

// project brings a point back into the ball around x, and then into 0..1. The radius is as in [Norm.Within].
func (n Norm) project(radius, x, to *graph.Node) *graph.Node {
	return graph.ClipScalar(graph.Add(x, n.Within(radius, graph.Sub(to, x))), 0, 1)
}

// Length is the norm of each row of changes, [B, H, W, C]: [B, 1, 1, 1].
func (n Norm) Length(x *graph.Node) *graph.Node {
	if n == LInf {
		return graph.ReduceAndKeep(graph.Abs(x), graph.ReduceMax, 1, 2, 3)
	}
	return length(x)
}

// length is the L2 norm of each row, [B, 1, 1, 1].
func length(x *graph.Node) *graph.Node {
	return graph.Sqrt(graph.ReduceAndKeep(graph.Square(x), graph.ReduceSum, 1, 2, 3))
}
