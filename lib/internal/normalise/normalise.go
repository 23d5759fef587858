// Package normalise has batch and group normalisation as one operation each, which loupe's kernels for the CPU compute
// (package customcall): XLA makes some ten loops over the batch of one and its gradient.
//
// An operation is a call of a function whose name says what it computes, and whose body computes it. Its gradient is
// such a call too, and the gradient's gradient is made of plain operations.
package normalise

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/gradients"
)

// Known tells whether x, [N, H, W, C], and what it is scaled by are normalised by loupe's kernels. Where not, the
// functions here are right and slower than what XLA makes of plain operations.
func Known(x *graph.Node, weights ...*graph.Node) bool {
	for _, of := range append(weights, x) {
		if of.DType() != dtypes.Float32 {
			return false
		}
	}
	return x.Rank() == 4 && x.Shape().Size() > 0 && backend.Kernels(x.Graph().Backend())
}

// Group normalises x, [N, H, W, C], by the mean and variance of each image over all places and each of the groups of
// neighbouring channels. scale and offset are [C].
func Group(x, scale, offset *graph.Node, groups int, epsilon float64) *graph.Node {
	n := norm(x, epsilon)
	n.Groups = groups
	return call(n, customcall.Normalised, x, scale, offset)[0]
}

// Batch normalises x by the mean and variance of the batch over all places of all images, of each channel, [C] each,
// which are returned too. No gradient goes through these two; the result's by x knows that they are x's.
func Batch(x, scale, offset *graph.Node, epsilon float64) (y, mean, variance *graph.Node) {
	n := norm(x, epsilon)
	moments := call(n, customcall.Moments, graph.StopGradient(x))
	for i, m := range moments {
		moments[i] = graph.StopGradient(m)
	}
	c := n.X[3]
	return call(n, customcall.Normalised, x, scale, offset, moments[0], moments[1])[0], graph.Reshape(moments[0], c),
		graph.Reshape(moments[1], c)
}

// ReLU is max(0, x) of the result of [Group] or [Batch], in one operation with it; nil where x is none.
func ReLU(x *graph.Node) *graph.Node {
	n, ok := Of(x)
	if !ok || n.ReLU {
		return nil
	}
	n.ReLU = true
	return call(n, customcall.Normalised, x.Inputs()...)[0]
}

// Of is the normalisation that a value is the result of; it is not ok for other values.
func Of(node *graph.Node) (n customcall.Norm, ok bool) {
	n, part, ok := named(node)
	return n, ok && part == customcall.Normalised
}

// Gradient gives the gradients of a normalisation's result by its x, and by scale and offset for each image, [N, C]
// (for batch normalisation for all of them, [1, C]), of v, that by the result. Of the same v they are computed once.
func Gradient(node, v *graph.Node) (x, scale, offset *graph.Node) {
	n, _, _ := named(node)
	g := node.Graph()
	known, ok := g.State(gradientsKey{}).(map[[2]*graph.Node][]*graph.Node)
	if !ok {
		known = map[[2]*graph.Node][]*graph.Node{}
		g.AttachState(gradientsKey{}, known)
	}
	key := [2]*graph.Node{node, v}
	if known[key] == nil {
		known[key] = call(n, customcall.NormGradient, append(append([]*graph.Node{}, node.Inputs()...), v)...)
	}
	of := known[key]
	return of[0], of[1], of[2]
}

// gradientsKey is where a graph keeps the gradients that it has, by normalisation and what comes back to it.
type gradientsKey struct{}

func norm(x *graph.Node, epsilon float64) customcall.Norm {
	n := customcall.Norm{Epsilon: float32(epsilon)}
	copy(n.X[:], x.Shape().Dimensions)
	return n
}

// named is what a node calls.
func named(node *graph.Node) (n customcall.Norm, part customcall.NormPart, ok bool) {
	if node.Type() != graph.NodeTypeCall {
		return n, 0, false
	}
	return customcall.NormNamed(gradients.Settings(node).FieldByName("f").Elem().FieldByName("name").String())
}

// call calls a normalisation's function.
func call(n customcall.Norm, part customcall.NormPart, in ...*graph.Node) []*graph.Node {
	g := in[0].Graph()
	return gradients.Function(g, n.Name(part), func(g *graph.Graph) []*graph.Node {
		names := []string{"x", "scale", "offset", "mean", "variance", "v"}
		parameters := make([]*graph.Node, len(in))
		for i, of := range in {
			parameters[i] = graph.Parameter(g, names[i], of.Shape().Clone())
		}
		return plain(n, part, parameters)
	}).Call(in...)
}

func init() {
	others := graph.VJPRegistration[graph.NodeTypeCall]
	graph.VJPRegistration[graph.NodeTypeCall] = func(node *graph.Node, v []*graph.Node, shape shapes.Shape) []*graph.Node {
		n, part, ok := named(node)
		switch {
		case ok && part == customcall.Normalised:
			by := make([]*graph.Node, len(node.Inputs())) // none by mean and variance
			x, scale, offset := Gradient(node, v[0])
			by[0], by[1], by[2] = x, graph.ReduceSum(scale, 0), graph.ReduceSum(offset, 0)
			return by
		case ok && part == customcall.NormGradient:
			return gradientsGradient(n, node.Inputs(), v)
		case others != nil:
			return others(node, v, shape)
		}
		panic("normalise: no gradient is known of " + node.String())
	}
}

// gradientsGradient is that of a call of a gradient. What comes back to a result may depend on x, so that the arguments
// are cut off from what they are made of.
func gradientsGradient(n customcall.Norm, of, v []*graph.Node) []*graph.Node {
	in := make([]*graph.Node, len(of))
	for i, node := range of {
		in[i] = graph.Identity(graph.StopGradient(node))
	}
	var sum *graph.Node
	for i, of := range plain(n, customcall.NormGradient, in) {
		if part := graph.ReduceAllSum(graph.Mul(of, v[i])); sum == nil {
			sum = part
		} else {
			sum = graph.Add(sum, part)
		}
	}
	last := len(in) - 1
	gradient := graph.Gradient(sum, in[0], in[1], in[2], in[last])
	by := make([]*graph.Node, len(in)) // none by mean and variance
	by[0], by[1], by[2], by[last] = gradient[0], gradient[1], gradient[2], gradient[3]
	return by
}
