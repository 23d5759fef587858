// Package dataflow is how values flow through the part of a graph that leads from images to what a model makes of them,
// for methods that go back through it by rules of their own.
package dataflow

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/internal/graphops"
)

// Network is that part of a graph.
type Network struct {
	Image, Output *graph.Node
	// Nodes are those on a way from the image to the output, in the order of computation; Live is the same as a set. A
	// value that is needed on the way but does not depend on the image, such as a weight, is none of them.
	Nodes []*graph.Node
	Live  map[*graph.Node]bool
	// Depends has what depends on the image at all, also where the network holds it constant for gradients, as it does
	// the result of a comparison.
	Depends map[*graph.Node]bool
	depends []*graph.Node // in the order of computation
	// Consumers counts the nodes that take a live node.
	Consumers map[*graph.Node]int
	// Parents, of a value computed element by element from one other, is that other.
	Parents map[*graph.Node]*graph.Node
}

// Between finds what lies between image and output.
func Between(image, output *graph.Node) *Network {
	n := &Network{
		Image: image, Output: output,
		Depends:   map[*graph.Node]bool{},
		Live:      map[*graph.Node]bool{},
		Consumers: map[*graph.Node]int{},
		Parents:   map[*graph.Node]*graph.Node{},
	}
	for _, node := range behind(output, func(*graph.Node) bool { return false }) {
		if node == image || slices.ContainsFunc(node.Inputs(), func(in *graph.Node) bool { return n.Depends[in] }) {
			n.Depends[node] = true
			n.depends = append(n.depends, node)
		}
	}
	all := behind(output, (*graph.Node).StopGradient) // what the network holds constant is a weight
	for _, node := range all {
		if node != image && (node.StopGradient() || !slices.ContainsFunc(node.Inputs(), n.IsLive)) {
			continue
		}
		n.Live[node] = true
		n.Nodes = append(n.Nodes, node)
		if node != image {
			for _, in := range n.LiveInputs(node) {
				n.Consumers[in]++
			}
			if p := n.elementwiseParent(node); p != nil {
				n.Parents[node] = p
			}
		}
	}
	return n
}

// behind are the nodes that output is computed from, in the order of computation, without those that only a node leads
// to at which they end.
func behind(output *graph.Node, ends func(*graph.Node) bool) []*graph.Node {
	seen := map[*graph.Node]bool{output: true}
	all := []*graph.Node{output}
	for i := 0; i < len(all); i++ {
		if ends(all[i]) {
			continue
		}
		for _, in := range all[i].Inputs() {
			if !seen[in] {
				seen[in] = true
				all = append(all, in)
			}
		}
	}
	slices.SortFunc(all, func(a, b *graph.Node) int { return int(a.Id()) - int(b.Id()) })
	return all
}

// IsLive reports whether a value depends on the image and the output on it.
func (n *Network) IsLive(node *graph.Node) bool { return n.Live[node] }

// LiveInputs are a node's inputs that depend on the image, each once.
func (n *Network) LiveInputs(node *graph.Node) []*graph.Node {
	var live []*graph.Node
	for _, in := range node.Inputs() {
		if n.Live[in] && !slices.Contains(live, in) {
			live = append(live, in)
		}
	}
	return live
}

// elementwiseParent is the nearest live value of the same shape that node is an element-by-element function of; nil if
// there is none. That of x·sigmoid(x) is x.
func (n *Network) elementwiseParent(node *graph.Node) *graph.Node {
	if !graphops.Elementwise[node.Type()] {
		return nil
	}
	live := n.LiveInputs(node)
	ancestors := n.Line(live[0])
	for _, in := range live[1:] {
		other := n.Line(in)
		ancestors = slices.DeleteFunc(ancestors, func(a *graph.Node) bool { return !slices.Contains(other, a) })
	}
	if len(ancestors) == 0 || !slices.Equal(ancestors[0].Shape().Dimensions, node.Shape().Dimensions) {
		return nil
	}
	return ancestors[0]
}

// Line is a node, its elementwise parent, that one's, and so on.
func (n *Network) Line(node *graph.Node) []*graph.Node {
	line := []*graph.Node{node}
	for n.Parents[node] != nil {
		node = n.Parents[node]
		line = append(line, node)
	}
	return line
}

// Through computes what depends on the image anew with other images, up to a given node, and returns what each node has
// become.
func (n *Network) Through(node, image *graph.Node) map[*graph.Node]*graph.Node {
	done := map[*graph.Node]*graph.Node{n.Image: image}
	for _, at := range n.depends {
		if at.Id() > node.Id() {
			break
		}
		if at == n.Image {
			continue
		}
		inputs := slices.Clone(at.Inputs())
		for i, in := range inputs {
			if other := done[in]; other != nil {
				inputs[i] = other
			}
		}
		done[at] = at.CloneWithInputs(inputs...)
	}
	return done
}

// VJP is the product of v with the derivative of node by each of its inputs. It panics, as graph functions do, where
// there is no derivative.
func VJP(node, v *graph.Node) []*graph.Node {
	f := node.CustomGradient()
	if f == nil {
		f = graph.VJPRegistration[node.Type()]
	}
	if f == nil {
		panic(fmt.Errorf("%s has no gradient: write that part of the network in other operations", node))
	}
	return f(node, []*graph.Node{v}, shapes.Make(v.DType()))
}

// Windows is what a ReduceWindow makes of its windows: their sum, largest or smallest value.
func Windows(node *graph.Node) compute.ReduceOpType {
	return compute.ReduceOpType(gradients.Settings(node).FieldByName("reductionType").Int())
}
