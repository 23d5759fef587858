package model

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// GroupNorm normalises x, [N, H, W, C], by the mean and variance of each image over all places and each of a number of
// groups of neighbouring channels, and scales the channels by name.weight and name.bias, as PyTorch's GroupNorm. The
// groups must divide the channels. The result is recorded as name. Wu and He, ECCV 2018.
//
//	y = (x - mean) / sqrt(variance + epsilon) * weight + bias
//
// An image is normalised by nothing but itself, in training too.
func (b *Builder) GroupNorm(name string, x *graph.Node, groups int, epsilon float64) *graph.Node {
	if x.Rank() != 4 {
		panic(fmt.Errorf("model: %s normalises groups of channels of x [N, H, W, C], not %s", name, x.Shape()))
	}
	d := x.Shape().Dimensions
	if groups < 1 || d[3]%groups != 0 {
		panic(fmt.Errorf("model: %s has %d channels, which %d groups cannot share", name, d[3], groups))
	}
	y := graph.Reshape(x, d[0], d[1]*d[2], groups, d[3]/groups)
	centred := graph.Sub(y, graph.ReduceAndKeep(y, graph.ReduceMean, 1, 3))
	variance := graph.ReduceAndKeep(graph.Square(centred), graph.ReduceMean, 1, 3)
	y = graph.Reshape(graph.Div(centred, graph.Sqrt(graph.AddScalar(variance, epsilon))), d...)
	return b.Record(name, graph.Add(graph.Mul(y, b.channels(name+".weight")), b.channels(name+".bias")))
}
