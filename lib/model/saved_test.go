package model_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
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
		"ResNet-20": func(t *testing.T) string {
			return testenv.SharedData(t, "cifar-resnets",
				"resnet20.safetensors")
		},
		"EfficientNet-Lite0": func(t *testing.T) string {
			testenv.Asset(t, "efficientnet-lite0")
			return "efficientnet-lite0"
		},
		"SqueezeNet": func(t *testing.T) string { testenv.Asset(t, "squeezenet"); return "squeezenet" },
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
			if a, b := m.Spec(), back.Spec(); a.Name != b.Name || !slices.Equal(a.Classes, b.Classes) ||
				!slices.Equal(a.Mean, b.Mean) || a.Resize != b.Resize || a.Height != b.Height {
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

// Answers come back the same from both kinds of files, with the names of classes and images.
func TestAnswersAreSavedAndRead(t *testing.T) {
	a, err := model.AnswersFromLogits("net", tensors.FromFlatDataAndDimensions([]float32{3, 1, 2, 0, 5, 1}, 2, 3),
		[]int{0, -1})
	if err != nil {
		t.Fatal(err)
	}
	a.Classes, a.Names = []string{"hen", "owl", "emu"}, []string{"a.jpg", "b.jpg"}
	for _, suffix := range []string{".safetensors", ".npz"} {
		file := filepath.Join(t.TempDir(), "answers"+suffix)
		if err := save.Write(file, a); err != nil {
			t.Fatal(err)
		}
		b, err := model.ReadAnswers(file)
		if err != nil {
			t.Fatal(err)
		}
		one, two := logits(t, a), logits(t, b)
		if b.Model != "net" || !slices.Equal(b.Labels, a.Labels) || !slices.Equal(b.Classes, a.Classes) ||
			!slices.Equal(b.Names, a.Names) || !one.Equal(two) {
			t.Errorf("%s: %v becomes %v", suffix, a, b)
		}
		arrays, err := save.Read(file)
		if err != nil || !arrays.(map[string]*tensors.Tensor)["logits"].Equal(one) {
			t.Errorf("%s: save.Read gives %v: %v", suffix, arrays, err)
		}
		if _, err := model.Load(file); err == nil {
			t.Errorf("%s: answers are loaded as a model", suffix)
		}
	}
}

func logits(t *testing.T, a *model.Answers) *tensors.Tensor {
	t.Helper()
	z, err := a.Logits()
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// What no file could bring back is refused when it is saved.
func TestWhatCannotBeLoadedIsNotSaved(t *testing.T) {
	spec := model.Spec{Name: "mine", Height: 2, Width: 2, Channels: 1}
	weights := map[string]*tensors.Tensor{"w": tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 4, 2)}
	mine, err := model.FromTensors(weights, spec, func(b *model.Builder, x *graph.Node) *graph.Node {
		return graph.Dot(graph.Reshape(x, -1, 4), b.Weight("w")).Product()
	})
	if err != nil {
		t.Fatal(err)
	}
	extended, err := mine.Extend("halved", nil, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		return graph.DivScalar(out.Logits, 2)
	})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := model.Ensemble("pair", mine, mine)
	if err != nil {
		t.Fatal(err)
	}
	for want, m := range map[string]*model.Model{"halved cannot be saved": extended, "pair has no weights": pair} {
		for _, suffix := range []string{".safetensors", ".npz"} {
			file := filepath.Join(t.TempDir(), "m"+suffix)
			if err := save.Write(file, m); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error that says %q", m.Name(), err, want)
			}
		}
	}
	if err := save.Write(filepath.Join(t.TempDir(), "m.npz"), mine); err != nil {
		t.Errorf("a graph function's weights: %v", err)
	}
}
