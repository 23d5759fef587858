package model

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/normalise"
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
	scale, offset := b.Weight(name+".weight"), b.Weight(name+".bias")
	if b.training != nil && !b.plain && normalise.Known(x, scale, offset) {
		return b.Record(name, normalise.Group(x, scale, offset, groups, epsilon))
	}
	// Over the pixels first and then over the channels of a group, which are few: XLA's CPU compiler has vectors for the
	// one order and not for the other. What a group has is given to each of its channels.
	mean := func(x *graph.Node) *graph.Node { // [N, HW, C] to [N, 1, C]
		of := graph.Reshape(graph.ReduceMean(x, 1), d[0], groups, d[3]/groups)
		if d[3] > groups {
			of = graph.BroadcastToDims(graph.ReduceAndKeep(of, graph.ReduceMean, 2), d[0], groups, d[3]/groups)
		}
		return graph.Reshape(of, d[0], 1, d[3])
	}
	y := graph.Reshape(x, d[0], d[1]*d[2], d[3])
	y = graph.Sub(y, mean(y))
	y = graph.Mul(y, graph.Reciprocal(graph.Sqrt(graph.AddScalar(mean(graph.Square(y)), epsilon))))
	y = graph.Reshape(y, d...)
	return b.Record(name, graph.Add(graph.Mul(y, b.channels(name+".weight")), b.channels(name+".bias")))
}
