package lrp

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// Kind is what sort of layer a [Layer] is.
type Kind int

// The kinds of layers.
const (
	Convolution Kind = iota // weights that are shared between positions
	Dense                   // a product with a matrix of weights
	Pooling                 // a sum or mean, which has no weights
)

func (k Kind) String() string {
	switch k {
	case Convolution:
		return "convolution"
	case Dense:
		return "dense"
	case Pooling:
		return "pooling"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Layer is an affine layer of a network as a [Rule] sees it: Out = W·In + b. What scales and shifts its output by
// values that do not depend on the image, batch normalisation above all, is part of its W and b.
type Layer struct {
	Kind Kind
	// Names are the recorded names of the output and of the values on the way to it.
	Names []string
	// In and Out are the values in the graph.
	In, Out *graph.Node
	// First says that no other layer with weights lies between the images and this one.
	First bool
	// NonNegative says that In is known to have no negative values, as after a ReLU.
	NonNegative bool

	linear         *linearMap
	bias, unbiased *graph.Node
	// image makes In anew from other images.
	image func(images *graph.Node) *graph.Node
	// images are the images of the network.
	images *graph.Node
}

// linearMap is W of a layer.
type linearMap struct {
	kind Kind
	// apply is W'·x, with each weight w replaced by weight(w).
	apply func(x *graph.Node, weight func(w *graph.Node) *graph.Node) *graph.Node
}

// Apply returns W'·x, where W' are the layer's weights after weight has changed them, in the shape of Out. The
// normalisation that follows the layer has been multiplied into the weights that it gets.
func (l *Layer) Apply(x *graph.Node, weight func(w *graph.Node) *graph.Node) *graph.Node {
	return l.linear.apply(x, weight)
}

// Bias returns b, of a shape that broadcasts to that of Out, or nil if there is none.
func (l *Layer) Bias() *graph.Node { return l.bias }

// Output returns W·In + b, without b where the composite leaves biases out.
func (l *Layer) Output() *graph.Node {
	if l.unbiased != nil {
		return l.unbiased
	}
	return l.Out
}

// OfPixels returns what the layer would get as its input from images in which every pixel has the given
// value. It is for layers that are the first.
func (l *Layer) OfPixels(value float64) *graph.Node {
	return l.image(graph.MulScalar(graph.OnesLike(l.images), value))
}

// Pull returns Wᵀ·s for each of xs, where z is the sum of W·x over them and other values: how s flows back.
func Pull(z, s *graph.Node, xs ...*graph.Node) []*graph.Node {
	return graph.Gradient(graph.ReduceAllSum(graph.Mul(z, graph.StopGradient(s))), xs...)
}

// Contributions returns Σ x·Wᵀs over xs: what of s came from each value.
func Contributions(z, s *graph.Node, xs ...*graph.Node) *graph.Node {
	var sum *graph.Node
	for i, g := range Pull(z, s, xs...) {
		sum = plus(sum, graph.Mul(xs[i], g))
	}
	return sum
}

// plus adds, where nil stands for nothing.
func plus(a, b *graph.Node) *graph.Node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return graph.Add(a, b)
}

// The parts of a value.
func positive(x *graph.Node) *graph.Node  { return graph.Max(x, graph.ZerosLike(x)) }
func negative(x *graph.Node) *graph.Node  { return graph.Min(x, graph.ZerosLike(x)) }
func unchanged(x *graph.Node) *graph.Node { return x }

// optional applies f to a value that may be nil.
func optional(f func(*graph.Node) *graph.Node, x *graph.Node) *graph.Node {
	if x == nil {
		return nil
	}
	return f(x)
}

func (l *Layer) String() string {
	if len(l.Names) == 0 {
		return fmt.Sprintf("a %s layer without a name", l.Kind)
	}
	return fmt.Sprintf("the %s layer %s", l.Kind, l.Names[len(l.Names)-1])
}
