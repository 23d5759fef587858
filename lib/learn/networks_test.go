package learn

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
)

// The oracle is PyTorch's layers with the same weights: bench/oracles/layers.py. Sides are odd, so that pooling leaves
// a row over, and no two are alike.
func TestNetworksAgreeWithPyTorch(t *testing.T) {
	spec := model.Spec{Height: 9, Width: 11, Channels: 2}
	for name, c := range map[string]struct {
		make  func() (*model.Model, error)
		spec  model.Spec
		count int // of weights, PyTorch's
	}{
		"cnn": {func() (*model.Model, error) { return SmallCNN(spec, 3, 1, 4, 5) }, spec, 2*4*9 + 4 + 4*5*9 + 5 + 20*64 +
			64 + 64*3 + 3},
		"lenet": {func() (*model.Model, error) { return LeNet{Dropout: 0.5}.Make(spec, 3, 1) }, spec, 2*32*9 + 32 + 32*64*9 +
			64 + 384*128 + 128 + 128*3 + 3},
		"mlp": {func() (*model.Model, error) { return MLP(spec, 3, 1, 7, 5) }, spec, 198*7 + 7 + 7*5 + 5 + 5*3 + 3},
		"bag": {func() (*model.Model, error) { return SmallBag(spec, 3, 1, 5, 4, 5) }, spec, 25*2*4 + 4 + 4*5 + 5 + 5*3 + 3},
		"vit": {func() (*model.Model, error) {
			return ViT{Patch: 2, Width: 8, Depth: 2, Heads: 2}.Make(model.Spec{Height: 6, Width: 4, Channels: 3}, 3, 1)
		}, model.Spec{Height: 6, Width: 4, Channels: 3}, 12*8 + 8 + 8 + 7*8 + 2*(4*(8*8+8)+2*16+8*32+32+32*8+8) +
			16 + 8*3 + 3},
	} {
		m, err := c.make()
		if err != nil {
			t.Fatal(err)
		}
		weights, count := map[string]*tensors.Tensor{}, 0
		for name, w := range m.Weights() {
			add, start := 0.0, 0
			if w.Rank() == 1 && strings.HasSuffix(name, ".weight") { // of a normalisation
				add = 1
			}
			for _, letter := range name {
				start += int(letter)
			}
			values := make([]float32, w.Size())
			for i := range values {
				values[i] = float32(add + 0.3*math.Sin(12.9898*float64(i+start)))
			}
			weights[name] = tensors.FromFlatDataAndDimensions(values, w.Shape().Dimensions...)
			count += len(values)
		}
		if count != c.count {
			t.Errorf("%s has %d weights, want %d", name, count, c.count)
		}
		if m, err = m.WithWeights(weights); err != nil {
			t.Fatal(err)
		}
		x := make([]float32, 4*c.spec.Height*c.spec.Width*c.spec.Channels)
		for i := range x {
			x[i] = float32(0.5 + 0.5*math.Sin(78.233*float64(i)))
		}
		logits, err := m.Logits(tensors.FromFlatDataAndDimensions(x, 4, c.spec.Height, c.spec.Width, c.spec.Channels))
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](logits), oracle.Read[float64](t, "testdata/networks.npz",
			name), 2e-5); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
