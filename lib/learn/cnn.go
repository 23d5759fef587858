package learn

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// cnnKey is the architecture's: the weights' shapes tell the widths.
type cnnKey struct{ convolutions int }

// SmallCNN makes a small convolutional network with random weights, for images such as 28x28 or 32x32. For each width,
// the number of channels, it has a 3x3 convolution, ReLU and 2x2 max-pooling, and after the last a linear layer to
// hidden features, ReLU and a linear layer to the classes. No widths mean 16 and 32 channels. Layers are named conv1,
// relu1, pool1, …, hidden, features, linear.
//
// Weights are normal with variance 2/fan-in (He et al., ICCV 2015), biases 0; the same seed gives the same weights. The
// spec's Height and Width shrink by half, rounded down, with each width and must stay at least 1.
func SmallCNN(spec model.Spec, classes int, seed uint64, widths ...int) (*model.Model, error) {
	return smallCNN(newInitial(seed), spec, classes, widths)
}

func smallCNN(initial *initial, spec model.Spec, classes int, widths []int) (*model.Model, error) {
	if classes < 2 {
		return nil, fmt.Errorf("learn: a classifier of %d classes", classes)
	}
	if len(widths) == 0 {
		widths = []int{16, 32}
	}
	const hidden = 64
	if spec.Name == "" {
		spec.Name = "small CNN"
	}
	height, width, channels := spec.Height, spec.Width, spec.Channels
	for i, out := range widths {
		if out < 1 {
			return nil, fmt.Errorf("learn: convolution %d has %d channels", i+1, out)
		}
		if height /= 2; height < 1 {
			return nil, fmt.Errorf("learn: %d poolings leave nothing of %d x %d: take fewer widths", len(widths), spec.Height,
				spec.Width)
		}
		if width /= 2; width < 1 {
			return nil, fmt.Errorf("learn: %d poolings leave nothing of %d x %d: take fewer widths", len(widths), spec.Height,
				spec.Width)
		}
		initial.add(fmt.Sprintf("conv%d", i+1), 9*channels, out, 3, 3, channels, out)
		channels = out
	}
	initial.add("hidden", height*width*channels, hidden, hidden, height*width*channels)
	initial.add("linear", hidden, classes, classes, hidden)
	if initial.err != nil {
		return nil, initial.err
	}
	return model.FromArchitecture(cnnKey{len(widths)}, initial.weights, spec,
		func(b *model.Builder, x *graph.Node) *graph.Node {
			for i := range widths {
				x = b.ReLU(fmt.Sprintf("relu%d", i+1), b.Conv2D(fmt.Sprintf("conv%d", i+1), x, 1, 1))
				x = b.Record(fmt.Sprintf("pool%d", i+1), graph.MaxPool(x).Window(2).Strides(2).NoPadding().Done())
			}
			x = graph.Reshape(x, x.Shape().Dimensions[0], height*width*channels)
			x = b.Features(b.ReLU("features", b.Linear("hidden", x)))
			return b.Linear("linear", x)
		})
}

// Statistics returns the mean and standard deviation of each channel over images, [N, H, W, C] float32: what a Spec
// normalises by. A channel that never changes has the deviation 1.
func Statistics(images *tensors.Tensor) (mean, std []float64, err error) {
	if images == nil || images.Rank() != 4 || images.Size() == 0 {
		return nil, nil, fmt.Errorf("learn: images have the shape [N, H, W, C]")
	}
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, nil, fmt.Errorf("learn: %w", err)
	}
	c := images.Shape().Dimensions[3]
	mean, std = make([]float64, c), make([]float64, c)
	n := float64(len(flat) / c)
	for i, v := range flat {
		mean[i%c] += float64(v) / n
	}
	for i, v := range flat {
		d := float64(v) - mean[i%c]
		std[i%c] += d * d / n
	}
	for k := range std {
		if std[k] = math.Sqrt(std[k]); std[k] == 0 {
			std[k] = 1
		}
	}
	return mean, std, nil
}
