// Package perexample has the gradients of each example's loss of a batch by the weights, in one pass: GoMLX has the
// gradient of their sum only. What private training needs of them is their lengths, and then their sum, each scaled by
// a number: the gradients themselves, which take as much memory as there are weights and examples, need not all be
// there for either.
//
// It asks GoMLX for the gradients by the values in which weights meet the batch, the results of convolutions, products
// and sums, which are every example's own; and makes of each the gradient by the weight as if the example were alone.
// Scaled, and taken as those of one example, they give the sum. That is one backward pass, where to differentiate the
// scaled losses would be a second one (Bu et al., "Differentially private optimization on large model at small cost",
// ICML 2023, call it book-keeping).
//
// On the way it follows the examples through the graph: an operation in which they could meet, such as batch
// normalisation, is refused, and so is one that is not known here.
package perexample

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
)

// NotSeparable is what [Of] and the methods of [Examples] panic with where they cannot tell the examples apart.
type NotSeparable struct{ Why string }

func (n NotSeparable) Error() string { return "perexample: " + n.Why }

func refuse(format string, args ...any) { panic(NotSeparable{fmt.Sprintf(format, args...)}) }

// Examples are the gradients of each example's loss.
type Examples struct {
	walk    *walk
	weights []*graph.Node
	met     []*graph.Node // in which weights meet the batch
	back    []*graph.Node // what comes back to them
}

// Of prepares the gradients by the weights. each is the losses, [B]; rows are the values that the batch comes in by,
// whose first axis is the examples, [B·V, ...], the V rows of an example one behind the other. What is done to the rows
// before they meet a weight is taken to keep the examples apart.
func Of(each *graph.Node, rows, weights []*graph.Node) *Examples {
	w := newWalk(each.Shape().Dimensions[0], rows, weights)
	w.visit(each)
	if w.kinds[each] != ofBoth {
		refuse("the losses do not depend on the batch and the weights")
	}
	e := &Examples{walk: w, weights: weights}
	for _, n := range w.order {
		if w.kinds[n] == ofBoth && slices.ContainsFunc(n.Inputs(), w.ofWeights) {
			e.met = append(e.met, n)
		}
	}
	// The losses of all examples together, whose gradient by an example's value is that of its own loss.
	e.back = graph.Gradient(graph.ReduceAllSum(each), e.met...)
	return e
}

// Squares are the squared lengths of the examples' gradients, over all weights together, [B].
func (e *Examples) Squares() *graph.Node {
	p := e.pass(e.walk.b)
	p.single = e.single()
	p.run(e.met, e.back)
	var sum *graph.Node
	for _, n := range e.weights {
		square := p.squares[n]
		if square == nil {
			g := p.gradient(n)
			square = graph.ReduceSum(graph.Square(graph.Reshape(g, p.b, g.Shape().Size()/p.b)), 1)
		}
		if sum == nil {
			sum = square
		} else {
			sum = graph.Add(sum, square)
		}
	}
	return sum
}

// Weighted are the sums over the examples of their gradients times a factor each, [B], for each of the weights.
func (e *Examples) Weighted(factors *graph.Node) []*graph.Node {
	p := e.pass(1)
	p.factors = factors
	p.run(e.met, e.back)
	out := make([]*graph.Node, len(e.weights))
	for i, n := range e.weights {
		out[i] = graph.Reshape(p.gradient(n), n.Shape().Dimensions...)
	}
	return out
}
