package model_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
)

// A file whose weights are no numbers is said, with the weight.
func TestWeightsThatAreNoNumbers(t *testing.T) {
	m, err := learn.MLP(model.Spec{Height: 2, Width: 1, Channels: 1}, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[float64]string{math.Inf(-1): "linear.bias of MLP has 0 NaN and 1 infinite values of 2",
		math.NaN(): "linear.bias of MLP has 1 NaN and 0 infinite values of 2", 0: ""} {
		weights := m.Weights()
		weights["linear.bias"] = tensors.FromValue([]float32{0, float32(value)})
		bad, err := m.WithWeights(weights)
		if err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{".safetensors", ".npz"} {
			path := filepath.Join(t.TempDir(), "net"+suffix)
			if err := save.Write(path, bad); err != nil {
				t.Fatal(err)
			}
			_, err = model.Load(path)
			if want == "" && err != nil || want != "" && (err == nil ||
				!strings.Contains(err.Error(), strings.ReplaceAll(want, "MLP", m.Name()))) {
				t.Errorf("%v: %v, want %q", value, err, want)
			}
		}
	}
}
