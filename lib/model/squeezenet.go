package model

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/lib/imagenet"
)

// newSqueezeNet makes SqueezeNet 1.1 (Iandola et al., arXiv:1602.07360) of weights in the
// Keras layout, kernels [KH, KW, I, O] over BGR channels from which a mean was subtracted.
func newSqueezeNet(weights map[string]*tensors.Tensor) (*Model, error) {
	conv1, last := weights["conv1.weight"], weights["conv10.weight"]
	if conv1 == nil || last == nil || conv1.Rank() != 4 || last.Rank() != 4 {
		return nil, fmt.Errorf("model: the weights are not those of SqueezeNet 1.1: conv1 or conv10 is missing")
	}
	// Reversing the kernel's input channels lets it take RGB.
	rgb, err := reversedInputs(conv1)
	if err != nil {
		return nil, err
	}
	weights["conv1.weight"] = rgb
	return FromArchitecture(squeezeNet{}, weights, Spec{
		Name:   "squeezenet",
		Height: 224, Width: 224, Channels: 3,
		Mean:    []float64{123.68 / 255, 116.779 / 255, 103.939 / 255},
		Std:     []float64{1. / 255, 1. / 255, 1. / 255},
		Classes: imagenet.ClassesOf(last.Shape().Dimensions[3]),
		Resize:  256,
	}, buildSqueezeNet)
}

// squeezeNet is the architecture.
type squeezeNet struct{}

func buildSqueezeNet(b *Builder, x *graph.Node) *graph.Node {
	pool := func(name string, x *graph.Node) *graph.Node {
		return b.Record(name, graph.MaxPool(x).Window(3).Strides(2).NoPadding().Done())
	}
	x = pool("maxpool1", b.ReLU("relu_conv1", b.Conv2D("conv1", x, 2, 0)))
	for i := 2; i <= 9; i++ {
		fire := fmt.Sprintf("fire%d", i)
		s := b.ReLU(fire+"/relu_squeeze1x1", b.Conv2D(fire+"/squeeze1x1", x, 1, 0))
		e1 := b.ReLU(fire+"/relu_expand1x1", b.Conv2D(fire+"/expand1x1", s, 1, 0))
		e3 := b.ReLU(fire+"/relu_expand3x3", b.Conv2D(fire+"/expand3x3", s, 1, 1))
		x = b.Record(fire, graph.Concatenate([]*graph.Node{e1, e3}, -1))
		if i == 3 || i == 5 {
			x = pool(fmt.Sprintf("maxpool%d", i), x)
		}
	}
	b.Features(b.Record("features", graph.ReduceMean(x, 1, 2)))
	x = b.ReLU("relu_conv10", b.Conv2D("conv10", x, 1, 0))
	return b.Record("avgpool10", graph.ReduceMean(x, 1, 2))
}

// reversedInputs turns the order of a kernel's input channels around.
func reversedInputs(kernel *tensors.Tensor) (*tensors.Tensor, error) {
	from, err := tensors.CopyFlatData[float32](kernel)
	if err != nil {
		return nil, err
	}
	dims := kernel.Shape().Dimensions
	in, out := dims[2], dims[3]
	to := make([]float32, len(from))
	for i := range from {
		position, channel, o := i/(in*out), i/out%in, i%out
		to[(position*in+in-1-channel)*out+o] = from[i]
	}
	return tensors.FromFlatDataAndDimensions(to, dims...), nil
}
