package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/model"
)

// LeNet is the small network of Ovadia et al., NeurIPS 2019, appendix A: 3x3 convolutions without padding to 32 and to
// 64 channels, 2x2 max-pooling, a linear layer to 128 features and one to the classes, with ReLUs between. Layers are
// named conv1, relu1, conv2, relu2, pool, hidden, features, linear.
type LeNet struct {
	// Dropout is the share of values dropped after pooling and before the last layer, in training and in the members of
	// model.Sampled; 0 is none.
	Dropout float64
	// LastLayer leaves the dropout after pooling out: then all that is random is the last layer.
	LastLayer bool
}

// Make makes the network with random weights, normal with variance 2/fan-in (He et al., ICCV 2015), and biases of 0;
// the same seed gives the same weights. The spec's Height and Width are at least 6.
func (l LeNet) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	switch {
	case classes < 2:
		return nil, fmt.Errorf("learn: a classifier of %d classes", classes)
	case spec.Height < 6 || spec.Width < 6:
		return nil, fmt.Errorf("learn: a LeNet takes images of 6 x 6 pixels or more, not %d x %d", spec.Height, spec.Width)
	case !(l.Dropout >= 0 && l.Dropout < 1):
		return nil, fmt.Errorf("learn: the dropout is %v, it is the share of values dropped, from 0 to less than 1",
			l.Dropout)
	}
	if spec.Name == "" {
		spec.Name = "LeNet"
	}
	const hidden = 128
	flat := (spec.Height - 4) / 2 * ((spec.Width - 4) / 2) * 64
	initial := newInitial(seed)
	initial.add("conv1", 9*spec.Channels, 32, 3, 3, spec.Channels, 32)
	initial.add("conv2", 9*32, 64, 3, 3, 32, 64)
	initial.add("hidden", flat, hidden, hidden, flat)
	initial.add("linear", hidden, classes, classes, hidden)
	return model.FromArchitecture(l, initial.weights, spec, func(b *model.Builder, x *graph.Node) *graph.Node {
		x = b.ReLU("relu1", b.Conv2D("conv1", x, 1, 0))
		x = b.ReLU("relu2", b.Conv2D("conv2", x, 1, 0))
		x = b.Record("pool", graph.MaxPool(x).Window(2).Strides(2).NoPadding().Done())
		if !l.LastLayer {
			x = b.Dropout(x, l.Dropout)
		}
		x = b.Features(b.ReLU("features", b.Linear("hidden", graph.Reshape(x, x.Shape().Dimensions[0], flat))))
		return b.Linear("linear", b.Dropout(x, l.Dropout))
	})
}
