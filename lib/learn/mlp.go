package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/model"
)

// mlpKey is the architecture's: the weights' shapes tell the widths.
type mlpKey struct{ hidden int }

// MLP makes a multilayer perceptron with random weights: for each width a linear layer to as many features and ReLU,
// and after the last a linear layer to the classes. No widths make a linear classifier, whose features are the pixels.
// Layers are named hidden1, relu1, …, linear.
//
// Weights and biases are as in [SmallCNN].
func MLP(spec model.Spec, classes int, seed uint64, widths ...int) (*model.Model, error) {
	return mlp(newInitial(seed), spec, classes, widths)
}

func mlp(initial *initial, spec model.Spec, classes int, widths []int) (*model.Model, error) {
	if classes < 2 {
		return nil, fmt.Errorf("learn: a classifier of %d classes", classes)
	}
	if spec.Name == "" {
		spec.Name = "MLP"
		if len(widths) == 0 {
			spec.Name = "linear"
		}
	}
	pixels := spec.Height * spec.Width * spec.Channels
	from := pixels
	for i, to := range widths {
		if to < 1 {
			return nil, fmt.Errorf("learn: hidden layer %d has %d features", i+1, to)
		}
		initial.add(fmt.Sprintf("hidden%d", i+1), from, to, to, from)
		from = to
	}
	initial.add("linear", from, classes, classes, from)
	if initial.err != nil {
		return nil, initial.err
	}
	return model.FromArchitecture(mlpKey{len(widths)}, initial.weights, spec,
		func(b *model.Builder, x *graph.Node) *graph.Node {
			x = graph.Reshape(x, x.Shape().Dimensions[0], pixels)
			for i := range widths {
				x = b.ReLU(fmt.Sprintf("relu%d", i+1), b.Linear(fmt.Sprintf("hidden%d", i+1), x))
			}
			return b.Linear("linear", b.Features(x))
		})
}
