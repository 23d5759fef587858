package model

import (
	"fmt"

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

// layouts says of the values of an ONNX file with rank 4 how they lie. Convolutions and pooling have channels first
// by ONNX's definition, a Transpose may put them last, and what works on each value for itself leaves them where they
// are.
func (f *onnxFile) layouts(input string, channelsLast bool) map[string]Layout {
	lies := map[string]Layout{input: ChannelsFirst}
	if channelsLast {
		lies[input] = ChannelsLast
	}
	for _, node := range f.nodes() {
		found := NotSpatial
		switch node.op() {
		case "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "BatchNormalization":
			found = ChannelsFirst
		case "Transpose":
			from := lies[node.inputs()[0]]
			switch perm := fmt.Sprint(node.ints("perm")); {
			case from == ChannelsFirst && perm == "[0 2 3 1]":
				found = ChannelsLast
			case from == ChannelsLast && perm == "[0 3 1 2]":
				found = ChannelsFirst
			case perm == "[0 1 2 3]":
				found = from
			}
		case "Reshape", "Flatten", "Gather", "GatherElements", "GatherND", "Shape", "Squeeze", "Unsqueeze", "Einsum", "MatMul", "If",
			"ArgMax", "ArgMin", "TopK", "Size":
			// other axes than before, or nobody knows which; a MatMul is a layer on channels that lie last
			if node.op() == "MatMul" && lies[node.inputs()[0]] == ChannelsLast {
				found = ChannelsLast
			}
			if from, ok := f.resized[node.outputs()[0]]; ok {
				found = lies[from]
			}
		default:
			for _, in := range node.inputs() {
				if found == NotSpatial {
					found = lies[in]
				}
			}
		}
		for _, out := range node.outputs() {
			lies[out] = found
		}
	}
	return lies
}
