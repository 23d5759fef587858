package model

import (
	"github.com/gomlx/gomlx/core/graph"
)

// Layout is how an activation with two spatial axes lies.
type Layout int

const (
	// NotSpatial is the layout of what has no two spatial axes, or of which it is not known where they are, as of
	// what a Reshape makes.
	NotSpatial Layout = iota
	// ChannelsLast is [N, H, W, C].
	ChannelsLast
	// ChannelsFirst is [N, C, H, W], as in ONNX.
	ChannelsFirst
)

// positions is how many positions an activation of rank 4 has.
func (l Layout) positions(dims []int) int {
	switch l {
	case ChannelsLast:
		return dims[1] * dims[2]
	case ChannelsFirst:
		return dims[2] * dims[3]
	}
	return 1
}

// ToChannelsLast turns an activation of this layout, or its gradient, to [N, H, W, C].
func (l Layout) ToChannelsLast(x *graph.Node) *graph.Node {
	if l == ChannelsFirst {
		return graph.TransposeAllAxes(x, 0, 2, 3, 1)
	}
	return x
}

// Layer returns the layer of that name, or an error with the nearest names.
func (m *Model) Layer(name string) (Layer, error) {
	if err := m.there(); err != nil {
		return Layer{}, err
	}
	for _, l := range m.layers {
		if l.Name == name {
			return l, nil
		}
	}
	return Layer{}, m.CheckLayer(name)
}
