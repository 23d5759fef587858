package model

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/lib/imagenet"
	"github.com/loupeml/loupe/lib/internal/gradients"
	"github.com/loupeml/loupe/lib/weightfile"
)

// CIFAR10Classes are the names of CIFAR-10's classes in their usual order.
var CIFAR10Classes = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// cifarResNet is the architecture; the weights' names tell its depth.
type cifarResNet struct{}

// newCIFARResNet makes a residual network for 32x32 images (He et al., CVPR 2016, section 4.2): three stages of n
// blocks, 6n+2 layers, with shortcuts that take every second pixel and fill new channels with zeros (option A).
func newCIFARResNet(weights map[string]*tensors.Tensor) (*Model, error) {
	blocks := 0
	for weights[fmt.Sprintf("layer1.%d.conv1.weight", blocks)] != nil {
		blocks++
	}
	spec := Spec{
		Name:   fmt.Sprintf("cifar-resnet%d", 6*blocks+2),
		Height: 32, Width: 32, Channels: 3,
		Mean: imagenet.Mean, Std: imagenet.Std,
	}
	if w := weights["linear.weight"]; w != nil && w.Shape().Dimensions[0] == len(CIFAR10Classes) {
		spec.Classes = CIFAR10Classes
	}
	return FromArchitecture(cifarResNet{}, weightfile.KernelsLast(weights), spec,
		func(b *Builder, x *graph.Node) *graph.Node {
			const epsilon = 1e-5
			x = b.ReLU("relu", b.BatchNorm("bn1", b.Conv2D("conv1", x, 1, 1), epsilon))
			for stage := 1; stage <= 3; stage++ {
				for i := range blocks {
					name := fmt.Sprintf("layer%d.%d", stage, i)
					stride := 1
					if stage > 1 && i == 0 {
						stride = 2
					}
					y := b.ReLU(name+".relu1", b.BatchNorm(name+".bn1", b.Conv2D(name+".conv1", x, stride, 1), epsilon))
					y = b.BatchNorm(name+".bn2", b.Conv2D(name+".conv2", y, 1, 1), epsilon)
					y = graph.Add(y, shortcutA(x, stride, y.Shape().Dimensions[3]))
					x = b.ReLU(name, y)
				}
				b.Record(fmt.Sprintf("layer%d", stage), x)
			}
			x = b.Features(b.Record("avgpool", graph.ReduceMean(x, 1, 2)))
			return b.Linear("linear", x)
		})
}

// shortcutA takes every stride-th pixel of x and puts zero channels before and after to make them channels.
func shortcutA(x *graph.Node, stride, channels int) *graph.Node {
	if stride > 1 {
		x = graph.Slice(x, graph.AxisRange(), graph.AxisRange().Stride(stride), graph.AxisRange().Stride(stride))
	}
	more := channels - x.Shape().Dimensions[3]
	return gradients.ZeroPad(x, 3, [2]int{more / 2, more - more/2})
}
