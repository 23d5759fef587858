package lrp

import (
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/dataflow"
)

// network is the part of a graph that leads from images to what a model makes of them, with what relevance does there.
type network struct {
	*dataflow.Network
	// named are the values that the model has recorded.
	named map[*graph.Node]bool

	steps    map[*graph.Node]*step
	weighted map[*graph.Node]bool // see hasLayer
	positive map[*graph.Node]bool // see nonNegative
}

func newNetwork(image, output *graph.Node, named map[*graph.Node]bool) *network {
	return &network{
		Network:  dataflow.Between(image, output),
		named:    named,
		steps:    map[*graph.Node]*step{},
		weighted: map[*graph.Node]bool{},
		positive: map[*graph.Node]bool{},
	}
}

// attends reports whether values that depend on the image are multiplied as matrices by others that do, as tokens are
// by what they attend to.
func (n *network) attends() bool {
	return slices.ContainsFunc(n.Nodes, func(node *graph.Node) bool {
		return node.Type() == graph.NodeTypeDotGeneral && len(n.LiveInputs(node)) > 1
	})
}

// hasLayer reports whether there is a layer with weights between a node and the image.
func (n *network) hasLayer(node *graph.Node) bool {
	if node == n.Image {
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
