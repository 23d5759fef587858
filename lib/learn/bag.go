package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/model"
)

// bagKey is the architecture's: the weights' shapes tell the widths and the field.
type bagKey struct{ layers int }

// SmallBag makes a small bag of local features with random weights, for images such as 28x28 or 32x32: a network that
// sees no more of an image at a time than a patch of field x field pixels, an odd number, and so textures and colours
// and no shapes. The first layer is a convolution of that size and stride 2, padded by (field-1)/2; those of the other
// widths are 1x1; each has ReLU. The mean over all places goes into a linear layer. No widths mean 24 and 48 channels.
// Layers are named conv1, relu1, …, features, linear. After Brendel and Bethge, ICLR 2019, whose own network is
// networks.BagNet.
//
// Weights and biases are as in [SmallCNN].
func SmallBag(spec model.Spec, classes int, seed uint64, field int, widths ...int) (*model.Model, error) {
	return smallBag(newInitial(seed), spec, classes, field, widths)
}

func smallBag(initial *initial, spec model.Spec, classes, field int, widths []int) (*model.Model, error) {
	if classes < 2 {
		return nil, fmt.Errorf("learn: a classifier of %d classes", classes)
	}
	if field < 1 || field%2 == 0 {
		return nil, fmt.Errorf("learn: a patch of %d pixels has no middle: take an odd number", field)
	}
	if field > spec.Height || field > spec.Width {
		return nil, fmt.Errorf("learn: patches of %d pixels in images of %d x %d", field, spec.Height, spec.Width)
	}
	if len(widths) == 0 {
		widths = []int{24, 48}
	}
	if spec.Name == "" {
		spec.Name = fmt.Sprintf("bag of %dx%d", field, field)
	}
	channels := spec.Channels
	for i, out := range widths {
		side := 1
		if i == 0 {
			side = field
		}
		if out < 1 {
			return nil, fmt.Errorf("learn: convolution %d has %d channels", i+1, out)
		}
		initial.add(fmt.Sprintf("conv%d", i+1), side*side*channels, out, side, side, channels, out)
		channels = out
	}
	initial.add("linear", channels, classes, classes, channels)
	if initial.err != nil {
		return nil, initial.err
	}
	return model.FromArchitecture(bagKey{len(widths)}, initial.weights, spec,
		func(b *model.Builder, x *graph.Node) *graph.Node {
			for i := range widths {
				stride, padding := 1, 0
				if i == 0 {
					stride, padding = 2, (field-1)/2
				}
				x = b.ReLU(fmt.Sprintf("relu%d", i+1), b.Conv2D(fmt.Sprintf("conv%d", i+1), x, stride, padding))
			}
			return b.Linear("linear", b.Features(b.Record("features", graph.ReduceMean(x, 1, 2))))
		})
}
