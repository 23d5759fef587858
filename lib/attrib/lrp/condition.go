package lrp

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Condition chooses the concepts that relevance may flow through: for each of some layers, by name, channels. It must
// pass all the layers, in each through any of the channels. An empty condition lets everything through.
type Condition map[string][]int

// Each returns a condition for each of the channels of a layer: one concept at a time. Without channels it is all that
// the layer has.
func Each(m *model.Model, layer string, channels ...int) ([]Condition, error) {
	concepts, err := conceptsOf(m, layer)
	if err != nil {
		return nil, err
	}
	if len(channels) == 0 {
		for c := range concepts.count {
			channels = append(channels, c)
		}
	}
	var all []Condition
	for _, c := range channels {
		all = append(all, Condition{layer: {c}})
	}
	return all, nil
}

// concepts is how a layer's channels lie.
type concepts struct {
	layer string
	shape []int // of an image's activation
	axis  int   // of the channels, in the activations of several images
	count int
}

// conceptsOf looks a layer up.
func conceptsOf(m *model.Model, layer string) (concepts, error) {
	l, err := m.Layer(layer)
	if err != nil {
		return concepts{}, err
	}
	shape := l.Shape
	if len(shape) == 0 {
		return concepts{}, fmt.Errorf("lrp: layer %q has one value for an image, and so no channels", layer)
	}
	axis := len(shape)
	if l.Layout == model.ChannelsFirst {
		axis = 1
	}
	return concepts{layer, shape, axis, shape[axis-1]}, nil
}

// broadcast views one value a channel, [N, C], so that it multiplies activations.
func (c concepts) broadcast(x *graph.Node) *graph.Node {
	dims := []int{x.Shape().Dimensions[0]}
	for axis := range c.shape {
		d := 1
		if axis+1 == c.axis {
			d = c.count
		}
		dims = append(dims, d)
	}
	return graph.Reshape(x, dims...)
}

// positions views activations [N, ...] as [N, P, C], P being the positions of a channel in row-major order.
func (c concepts) positions(x *graph.Node) *graph.Node {
	if c.axis != len(c.shape) {
		x = graph.TransposeAllAxes(x, 0, 2, 3, 1)
	}
	return graph.Reshape(x, x.Shape().Dimensions[0], -1, c.count)
}

// columns is the length of a row of places.
func (c concepts) columns() int {
	switch {
	case len(c.shape) != 3:
		return 1
	case c.axis == 3:
		return c.shape[1]
	}
	return c.shape[2]
}

// layers are the names of a condition's layers, in the order of the alphabet.
func (c Condition) layers() []string { return slices.Sorted(maps.Keys(c)) }

// check returns an error for layers and channels that do not exist.
func (c Condition) check(m *model.Model) error {
	for _, layer := range c.layers() {
		concepts, err := conceptsOf(m, layer)
		if err != nil {
			return err
		}
		if len(c[layer]) == 0 {
			return fmt.Errorf(
				"lrp: a condition names layer %q and no channel: nothing would pass; leave the layer out to let all pass", layer)
		}
		for _, channel := range c[layer] {
			if channel < 0 || channel >= concepts.count {
				return fmt.Errorf("lrp: layer %q has the channels 0 to %d, and no %d", layer, concepts.count-1, channel)
			}
		}
	}
	return nil
}

// masks are the conditions as numbers: for each layer, [len(conditions)·times, C], 1 for the channels that may pass.
// The conditions are repeated in order.
func masks(m *model.Model, layer string, conditions []Condition, times int) (*tensors.Tensor, error) {
	concepts, err := conceptsOf(m, layer)
	if err != nil {
		return nil, err
	}
	flat := make([]float32, times*len(conditions)*concepts.count)
	for t := range times {
		for i, c := range conditions {
			for _, channel := range c[layer] {
				flat[(t*len(conditions)+i)*concepts.count+channel] = 1
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, times*len(conditions), concepts.count), nil
}
