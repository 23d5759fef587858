package model_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/weightfile"
)

// Published networks are saved under a name and with classes of one's own, and come back with the same answers;
// PyTorch's layout is kept.
func TestPublishedNetworksAreSavedAndLoaded(t *testing.T) {
	for name, load := range map[string]func(t *testing.T) string{
		"ResNet-20":          func(t *testing.T) string { return testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors") },
		"EfficientNet-Lite0": func(t *testing.T) string { testenv.Asset(t, "efficientnet-lite0"); return "efficientnet-lite0" },
		"SqueezeNet":         func(t *testing.T) string { testenv.Asset(t, "squeezenet"); return "squeezenet" },
	} {
		t.Run(name, func(t *testing.T) {
			from := load(t)
			m, err := model.Load(from)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "m.safetensors")
			if err := save.Write(file, m); err != nil {
				t.Fatal(err)
			}
			back, err := model.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := m.Spec(), back.Spec(); a.Name != b.Name || !slices.Equal(a.Classes, b.Classes) || !slices.Equal(a.Mean, b.Mean) || a.Resize != b.Resize || a.Height != b.Height {
				t.Errorf("the spec is %+v, it was %+v", b, a)
			}
			theirs := back.Weights()
			for name, w := range m.Weights() {
				if theirs[name] == nil || !theirs[name].Equal(w) {
					t.Errorf("the weight %s is another", name)
				}
			}
			if name != "ResNet-20" {
				return
			}
			spec := m.Spec()
			x := tensors.FromScalarAndDimensions(float32(0.25), 1, spec.Height, spec.Width, spec.Channels)
			a, err := m.Logits(x)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := back.Logits(x); err != nil || !a.Equal(b) {
				t.Errorf("other answers: %v", err)
			}
			original, err := weightfile.Read(from)
			if err != nil {
				t.Fatal(err)
			}
			saved, err := weightfile.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			for name, w := range original {
				if saved[name] == nil || !saved[name].Equal(w) {
					t.Errorf("the weight %s lies otherwise than in PyTorch's file", name)
				}
			}
		})
	}
}
