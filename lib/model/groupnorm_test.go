package model

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

// groupNormed is a network that is nothing but a group normalisation of four channels.
func groupNormed(groups int) (*Model, error) {
	ramp := tensors.FromValue([]float32{1, 2, 3, 4})
	weights := map[string]*tensors.Tensor{"n.weight": ramp, "n.bias": ramp}
	return FromTensors(weights, Spec{Height: 1, Width: 2, Channels: 4}, func(b *Builder, x *graph.Node) *graph.Node {
		return graph.Reshape(b.GroupNorm("n", x, groups, 0), -1, 8)
	})
}

func TestGroupNorm(t *testing.T) {
	m, err := groupNormed(2)
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Logits(tensors.FromValue([][][][]float32{{{{0, 2, 5, 5}, {4, 2, 7, 7}}}}))
	if err != nil {
		t.Fatal(err)
	}
	// The first group has the mean 2 and the variance 2, the second one 6 and 1.
	r := math.Sqrt2
	want := []float64{1 - r, 2, 0, 0, 1 + r, 2, 6, 8}
	if err := approx.All(tensors.MustCopyFlatData[float32](out), want, 1e-5); err != nil {
		t.Error(err)
	}
	for groups, want := range map[int]string{3: "4 channels, which 3 groups cannot share", 0: "which 0 groups"} {
		if _, err := groupNormed(groups); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
	flat := map[string]*tensors.Tensor{"n.weight": tensors.FromValue([]float32{1}),
		"n.bias": tensors.FromValue([]float32{1})}
	if _, err := FromTensors(flat, Spec{Height: 1, Width: 1, Channels: 1}, func(b *Builder, x *graph.Node) *graph.Node {
		return b.GroupNorm("n", graph.Reshape(x, -1, 1), 1, 0)
	}); err == nil || !strings.Contains(err.Error(), "x [N, H, W, C], not") {
		t.Errorf("a vector was taken: %v", err)
	}
}
