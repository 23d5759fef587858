package model

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// The channels that are taken away are 0, and all others are what they were.
func TestWithoutChannels(t *testing.T) {
	ramp := func(dims ...int) *tensors.Tensor {
		size := 1
		for _, d := range dims {
			size *= d
		}
		flat := make([]float32, size)
		for i := range flat {
			flat[i] = float32(i%7+1) / 8
		}
		return tensors.FromFlatDataAndDimensions(flat, dims...)
	}
	weights := map[string]*tensors.Tensor{"conv.weight": ramp(3, 3, 2, 4), "conv.bias": ramp(4), "fc.weight": ramp(3, 4)}
	m, err := FromTensors(weights, Spec{Name: "two layers", Height: 5, Width: 4, Channels: 2},
		func(b *Builder, x *graph.Node) *graph.Node {
			return b.Linear("fc", b.Record("mean", graph.ReduceMean(b.Conv2D("conv", x, 1, 1), 1, 2)))
		})
	if err != nil {
		t.Fatal(err)
	}
	images := ramp(2, 5, 4, 2)
	for layer, gone := range map[string][]int{"conv": {1, 3}, "fc": {0}} {
		less, err := m.WithoutChannels(layer, gone...)
		if err != nil {
			t.Fatal(err)
		}
		before, err := m.Activations(layer, images)
		if err != nil {
			t.Fatal(err)
		}
		after, err := less.Activations(layer, images)
		if err != nil {
			t.Fatal(err)
		}
		want, got := tensors.MustCopyFlatData[float32](before), tensors.MustCopyFlatData[float32](after)
		count := before.Shape().Dimensions[before.Rank()-1]
		for i, v := range want {
			if v == 0 {
				t.Fatalf("%s: value %d is 0 without anything being taken", layer, i)
			}
			for _, channel := range gone {
				if i%count == channel {
					v = 0
				}
			}
			if got[i] != v {
				t.Fatalf("%s: value %d, of channel %d, is %g, want %g", layer, i, i%count, got[i], v)
			}
		}
	}
	_, err = m.WithoutChannels("conv", 4)
	wantError(t, err, "channels 0 to 3, and no 4")
	_, err = m.WithoutChannels("mean", 0)
	wantError(t, err, "mean", "convolution or a linear layer")
	_, err = m.WithoutChannels("cnov", 0)
	wantError(t, err, "cnov")
}
