package model

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/lib/imagenet"
	"github.com/loupeml/loupe/lib/weightfile"
)

// efficientNetLite is one member of EfficientNet-Lite: EfficientNet (Tan and Le, ICML 2019) with ReLU6 for
// swish, no squeeze-and-excitation, and stem and head of fixed width.
// https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
type efficientNetLite struct {
	name         string
	width, depth float64 // multipliers of channels and of block repeats
	size         int     // pixels on a side
}

var efficientNetLites = []efficientNetLite{
	{"efficientnet-lite0", 1.0, 1.0, 224},
	{"efficientnet-lite1", 1.0, 1.1, 240},
	{"efficientnet-lite2", 1.1, 1.2, 260},
	{"efficientnet-lite3", 1.2, 1.4, 280},
	{"efficientnet-lite4", 1.4, 1.8, 300},
}

// efficientNetStages lists the stages of mobile inverted bottleneck blocks at multipliers of 1. Kernel sizes and
// expansions are seen in the weights.
var efficientNetStages = []struct{ repeats, stride, channels int }{
	{1, 1, 16}, {2, 2, 24}, {2, 2, 40}, {3, 2, 80}, {3, 1, 112}, {4, 2, 192}, {1, 1, 320},
}

// strides returns the stride of every block: the first of a stage has the stage's, the others 1.
func (e efficientNetLite) strides() []int {
	var strides []int
	for i, stage := range efficientNetStages {
		repeats := stage.repeats
		if i != 0 && i != len(efficientNetStages)-1 {
			repeats = int(math.Ceil(e.depth * float64(repeats)))
		}
		for r := range repeats {
			stride := 1
			if r == 0 {
				stride = stage.stride
			}
			strides = append(strides, stride)
		}
	}
	return strides
}

// channels scales a number of channels by the width multiplier, to a multiple of 8 that is at most a tenth smaller.
func (e efficientNetLite) channels(n int) int {
	scaled := e.width * float64(n)
	rounded := max(8, int(scaled+4)/8*8)
	if float64(rounded) < 0.9*scaled {
		rounded += 8
	}
	return rounded
}

// newEfficientNetLite recognises the member by the number and width of the weights' blocks.
func newEfficientNetLite(weights map[string]*tensors.Tensor) (*Model, error) {
	blocks := 0
	for weights[fmt.Sprintf("_blocks.%d._depthwise_conv.weight", blocks)] != nil {
		blocks++
	}
	for _, e := range efficientNetLites {
		last := weights[fmt.Sprintf("_blocks.%d._project_conv.weight", blocks-1)]
		if len(e.strides()) != blocks || last == nil || last.Shape().Dimensions[0] != e.channels(320) {
			continue
		}
		classes := 0
		if fc := weights["_fc.weight"]; fc != nil {
			classes = fc.Shape().Dimensions[0]
		}
		return FromArchitecture(e, weightfile.KernelsLast(weights), Spec{
			Name:   e.name,
			Height: e.size, Width: e.size, Channels: 3,
			Mean:    []float64{127. / 255, 127. / 255, 127. / 255},
			Std:     []float64{128. / 255, 128. / 255, 128. / 255},
			Classes: imagenet.ClassesOf(classes),
			Resize:  int(math.Round(float64(e.size) / 0.875)),
		}, e.build)
	}
	return nil, fmt.Errorf(
		"model: the weights look like an EfficientNet of %d blocks, which is none of EfficientNet-Lite0 to 4", blocks)
}

func (e efficientNetLite) build(b *Builder, x *graph.Node) *graph.Node {
	const epsilon = 1e-3
	x = b.conv2DSame("_conv_stem", x, 2)
	x = b.ReLU6("_bn0.relu6", b.BatchNorm("_bn0", x, epsilon))
	for i, stride := range e.strides() {
		name := fmt.Sprintf("_blocks.%d.", i)
		in := x
		if b.Has(name + "_expand_conv.weight") {
			x = b.conv2DSame(name+"_expand_conv", x, 1)
			x = b.ReLU6(name+"_bn0.relu6", b.BatchNorm(name+"_bn0", x, epsilon))
		}
		x = b.conv2DSame(name+"_depthwise_conv", x, stride)
		x = b.ReLU6(name+"_bn1.relu6", b.BatchNorm(name+"_bn1", x, epsilon))
		x = b.conv2DSame(name+"_project_conv", x, 1)
		x = b.BatchNorm(name+"_bn2", x, epsilon)
		if stride == 1 && x.Shape().Equal(in.Shape()) {
			x = graph.Add(x, in)
		}
		x = b.Record(fmt.Sprintf("_blocks.%d", i), x)
	}
	x = b.conv2DSame("_conv_head", x, 1)
	x = b.ReLU6("_bn1.relu6", b.BatchNorm("_bn1", x, epsilon))
	x = b.Features(b.Record("_avg_pooling", graph.ReduceMean(x, 1, 2)))
	return b.Linear("_fc", x)
}
