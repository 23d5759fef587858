package lrp

import (
	"github.com/gomlx/gomlx/core/graph"
)

// Rule says how the relevance of a layer's output is shared out among its inputs. The package's rules are those of
// the field; another is written with what a [Layer] offers:
//
//	func (MyRule) Propagate(l *lrp.Layer, relevance *graph.Node) *graph.Node {
//		s := graph.Div(relevance, lrp.Stabilize(l.Output(), 1e-6))
//		return lrp.Contributions(l.Output(), s, l.In)
//	}
//
// Programs are kept under their settings as %#v prints them, so these belong in exported fields.
type Rule interface {
	// Propagate returns the relevance of l.In, given that of l.Out, in the same shapes.
	Propagate(l *Layer, relevance *graph.Node) *graph.Node
}

// checked is a rule whose settings can be wrong.
type checked interface{ check() error }

const defaultStabilizer = 1e-6

// Stabilize moves z away from zero by epsilon: z + epsilon·sign(z), where sign(0) is 1. An epsilon of 0 means 1e-6.
func Stabilize(z *graph.Node, epsilon float64) *graph.Node {
	if epsilon == 0 {
		epsilon = defaultStabilizer
	}
	e := graph.Scalar(z.Graph(), z.DType(), epsilon)
	return graph.Add(z, graph.Where(graph.GreaterOrEqual(z, graph.ScalarZero(z.Graph(), z.DType())), e, graph.Neg(e)))
}

// share is relevance over the stabilised z: what each unit of contribution to z gets.
func share(relevance, z *graph.Node, stabilizer float64) *graph.Node {
	return graph.Div(relevance, Stabilize(z, stabilizer))
}

// signed is what two changes of the weights make of the positive and of the negative part of a layer's input, with
// the parts, to see where it came from.
func (l *Layer) signed(ofPositive, ofNegative func(w *graph.Node) *graph.Node, bias *graph.Node) (z *graph.Node,
	parts []*graph.Node) {
	if l.NonNegative {
		return plus(l.Apply(l.In, ofPositive), bias), []*graph.Node{l.In}
	}
	parts = []*graph.Node{positive(l.In), negative(l.In)}
	z = graph.Add(l.Apply(parts[0], ofPositive), l.Apply(parts[1], ofNegative))
	return plus(z, bias), parts
}
