package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// WithoutChannels is the same network in which some channels of a layer are 0 for every image: their weights and biases
// are set to 0, which shows what the network does without them (ablation of units: Morcos et al., ICLR 2018). The layer
// is one that has its own weights, LAYER.weight and perhaps LAYER.bias, as those of [Builder.Conv2D] and
// [Builder.Linear] do; for others, and for channels that it does not have, it is an error. The model itself does not
// change.
func (m *Model) WithoutChannels(layer string, channels ...int) (*Model, error) {
	if err := m.CheckLayer(layer); err != nil {
		return nil, err
	}
	l, err := m.Layer(layer)
	if err != nil {
		return nil, err
	}
	weight := m.weights[layer+".weight"]
	if weight == nil || len(l.Shape) == 0 || l.Layout == ChannelsFirst {
		return nil, fmt.Errorf(
			"model: layer %q of %s has no weight %s.weight to take channels from: name a convolution or a linear layer", layer,
			m.spec.Name, layer)
	}
	// Kernels are [KH, KW, I, O], matrices [O, I].
	dims, count := weight.Shape().Dimensions, l.Shape[len(l.Shape)-1]
	axis := 0
	if len(dims) == 4 {
		axis = 3
	}
	if len(dims) != 2 && len(dims) != 4 || dims[axis] != count {
		return nil, fmt.Errorf("model: the weight %s.weight of %s has the shape %s, which is none of a layer of %d channels",
			layer, m.spec.Name, weight.Shape(), count)
	}
	gone := make([]bool, count)
	for _, channel := range channels {
		if channel < 0 || channel >= count {
			return nil, fmt.Errorf("model: layer %q of %s has the channels 0 to %d, and no %d", layer, m.spec.Name,
				count-1, channel)
		}
		gone[channel] = true
	}
	changed := map[string]*tensors.Tensor{}
	for _, name := range []string{layer + ".weight", layer + ".bias"} {
		w := m.weights[name]
		if w == nil {
			continue
		}
		if w.DType() != dtypes.Float32 {
			return nil, fmt.Errorf("model: weight %q of %s is %s: channels are taken from float32", name, m.spec.Name, w.DType())
		}
		flat, err := tensors.CopyFlatData[float32](w)
		if err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
		each := 1 // how many values of one channel lie together
		if axis == 0 {
			each = len(flat) / count
		}
		for i := range flat {
			if gone[i/each%count] {
				flat[i] = 0
			}
		}
		changed[name] = tensors.FromFlatDataAndDimensions(flat, w.Shape().Dimensions...)
	}
	return m.WithWeights(changed)
}
