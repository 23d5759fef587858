package lrp

import (
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/graphops"
)

// network is the part of a graph that leads from images to what a model makes of them.
type network struct {
	image, output *graph.Node
	// nodes are those on a way from the image to the output, in the order of computation; live is the same as a set. A
	// value that is needed on the way but does not depend on the image, such as a weight, is none of them.
	nodes []*graph.Node
	live  map[*graph.Node]bool
	// named are those that the model has recorded.
	named map[*graph.Node]bool
	// consumers counts the nodes that take a live node.
	consumers map[*graph.Node]int
	// parents, of a value computed element by element from one other, is that other.
	parents map[*graph.Node]*graph.Node

	steps    map[*graph.Node]*step
	weighted map[*graph.Node]bool // see hasLayer
	positive map[*graph.Node]bool // see nonNegative
}

func newNetwork(image, output *graph.Node, named map[*graph.Node]bool) *network {
	n := &network{
		image: image, output: output, named: named,
		live:      map[*graph.Node]bool{},
		consumers: map[*graph.Node]int{},
		parents:   map[*graph.Node]*graph.Node{},
		steps:     map[*graph.Node]*step{},
		weighted:  map[*graph.Node]bool{},
		positive:  map[*graph.Node]bool{},
	}
	seen := map[*graph.Node]bool{output: true}
	all := []*graph.Node{output}
	for i := 0; i < len(all); i++ {
		if all[i].StopGradient() {
			continue // what the network holds constant is a weight
		}
		for _, in := range all[i].Inputs() {
			if !seen[in] {
				seen[in] = true
				all = append(all, in)
			}
		}
	}
	slices.SortFunc(all, func(a, b *graph.Node) int { return int(a.Id()) - int(b.Id()) })
	for _, node := range all {
		if node != image && (node.StopGradient() || !slices.ContainsFunc(node.Inputs(), n.isLive)) {
			continue
		}
		n.live[node] = true
		n.nodes = append(n.nodes, node)
		if node != image {
			for _, in := range n.liveInputs(node) {
				n.consumers[in]++
			}
			if p := n.elementwiseParent(node); p != nil {
				n.parents[node] = p
			}
		}
	}
	return n
}

// attends reports whether values that depend on the image are multiplied as matrices by others that do, as tokens are
// by what they attend to.
func (n *network) attends() bool {
	return slices.ContainsFunc(n.nodes, func(node *graph.Node) bool {
		return node.Type() == graph.NodeTypeDotGeneral && len(n.liveInputs(node)) > 1
	})
}

func (n *network) isLive(node *graph.Node) bool { return n.live[node] }

// liveInputs are a node's inputs that depend on the image, each once.
func (n *network) liveInputs(node *graph.Node) []*graph.Node {
	var live []*graph.Node
	for _, in := range node.Inputs() {
		if n.live[in] && !slices.Contains(live, in) {
			live = append(live, in)
		}
	}
	return live
}

// elementwiseParent is the nearest live value of the same shape that node is an element-by-element function of; nil if
// there is none. That of x·sigmoid(x) is x.
func (n *network) elementwiseParent(node *graph.Node) *graph.Node {
	if !graphops.Elementwise[node.Type()] {
		return nil
	}
	live := n.liveInputs(node)
	ancestors := n.line(live[0])
	for _, in := range live[1:] {
		other := n.line(in)
		ancestors = slices.DeleteFunc(ancestors, func(a *graph.Node) bool { return !slices.Contains(other, a) })
	}
	if len(ancestors) == 0 || !slices.Equal(ancestors[0].Shape().Dimensions, node.Shape().Dimensions) {
		return nil
	}
	return ancestors[0]
}

// line is a node, its elementwise parent, that one's, and so on.
func (n *network) line(node *graph.Node) []*graph.Node {
	line := []*graph.Node{node}
	for n.parents[node] != nil {
		node = n.parents[node]
		line = append(line, node)
	}
	return line
}

// through computes a live node anew, with other images.
func (n *network) through(node, image *graph.Node) *graph.Node {
	done := map[*graph.Node]*graph.Node{n.image: image}
	for _, at := range n.nodes {
		if at.Id() > node.Id() {
			break
		}
		if at == n.image {
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
	return done[node]
}

// hasLayer reports whether there is a layer with weights between a node and the image.
func (n *network) hasLayer(node *graph.Node) bool {
	if node == n.image {
		return false
	}
	if has, known := n.weighted[node]; known {
		return has
	}
	s := n.step(node)
	has := s.layer != nil && s.layer.Kind != Pooling || slices.ContainsFunc(s.from, n.hasLayer)
	n.weighted[node] = has
	return has
}
