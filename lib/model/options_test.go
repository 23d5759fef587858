package model

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/imagenet"
	"github.com/loupeml/loupe/lib/internal/safetensors"
	"github.com/loupeml/loupe/lib/weightfile"
)

// optionsFile is a small network in a folder of its own.
func optionsFile(t *testing.T) string {
	t.Helper()
	dir, _ := onnxForms(t)
	return filepath.Join(dir, "end_softmax.onnx")
}

func TestOptionsOfAFile(t *testing.T) {
	path := optionsFile(t)
	plain, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if said := plain.Assumptions(); !strings.Contains(said, "without normalisation") || strings.Contains(said, "1000") {
		t.Errorf("assumed is %q", said)
	}
	spec, names := plain.Spec(), make([]string, plain.NumClasses())
	for i := range names {
		names[i] = strings.Repeat("x", i+1)
	}
	list := filepath.Join(t.TempDir(), "names.txt")
	if err := os.WriteFile(list, []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Load(path, ImageNet, ClassNames(list), CropFrom(2*spec.Height))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Spec(); !slices.Equal(got.Mean, imagenet.Mean) || !slices.Equal(got.Classes, names) || got.Resize != 2*spec.Height || m.Assumptions() != "" {
		t.Errorf("it is %+v, assumed %q", got, m.Assumptions())
	}
	// The same as images that were normalised before.
	n := spec.Height * spec.Width
	pixels, before := make([]float32, 3*n), make([]float32, 3*n)
	for i := range pixels {
		pixels[i] = float32(i%17) / 17
		before[i] = (pixels[i] - float32(imagenet.Mean[i%3])) / float32(imagenet.Std[i%3])
	}
	of := func(m *Model, pixels []float32) []float32 {
		logits, err := m.Logits(tensors.FromFlatDataAndDimensions(pixels, 1, spec.Height, spec.Width, 3))
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](logits)
	}
	for i, want := range of(plain, before) {
		if got := of(m, pixels)[i]; !(got-want < 1e-5 && want-got < 1e-5) {
			t.Errorf("logit %d is %g, want %g", i, got, want)
		}
	}

	for _, c := range []struct {
		option Option
		want   string
	}{
		{Option{}, "says nothing"},
		{Normalized([]float64{0.5}, []float64{0.5}), "3 channels, 1 means"},
		{Normalized([]float64{0, 0, 0}, []float64{1, 0, 1}), "a standard deviation of 0"},
		{Normalized([]float64{0}, nil), "1 means and 0"},
		{Size(0, 3), "0 x 3 pixels"},
		{Size(spec.Height+1, spec.Width), "the network takes images of"},
		{CropFrom(-1), "-1 pixels"},
		{CropFrom(1), "cannot be cut out"},
		{ClassNames(names[:1]), "classes, and the option names 1"},
		{ClassNames(7), "not a int"},
		{ClassNames([]string(nil)), "no names"},
		{ClassNames((*data.Dataset)(nil)), "nil"},
		{ClassNames(filepath.Join(t.TempDir(), "none.txt")), "no such file"},
	} {
		if m, err := Load(path, c.option); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v, want %q", m, err, c.want)
		}
	}
}

// A config.json beside a file says how it is meant, and an option is above it.
func TestConfigBesideAFile(t *testing.T) {
	path := optionsFile(t)
	m, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	k := m.NumClasses()
	var labels []string
	for i := range k {
		labels = append(labels, `"`+string(rune('a'+i))+`"`)
	}
	config := `{"architecture": "mine", "label_names": [` + strings.Join(labels, ",") + `], "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 2]}}`
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if m, err = Load(path); err != nil {
		t.Fatal(err)
	}
	if s := m.Spec(); !slices.Equal(s.Mean, []float64{0.1, 0.2, 0.3}) || s.Std[2] != 2 || s.Classes[0] != "a" || m.Assumptions() != "" {
		t.Errorf("it is %+v, assumed %q", s, m.Assumptions())
	}
	if m, err = Load(path, Unnormalized); err != nil || m.Spec().Mean != nil {
		t.Errorf("with an option: %+v, %v", m.Spec(), err)
	}
	for text, want := range map[string]int{`{"0": "a", "1": "b"}`: 2, `["a"]`: 1, `{"1": "a"}`: -1, `{"0": "a", "00": "b"}`: -1, `{"x": "a"}`: -1, `3`: -1, `null`: -1, `{}`: -1} {
		names, err := namesOf([]byte(text))
		if (err == nil) != (want >= 0) || want >= 0 && len(names) != want {
			t.Errorf("%s: %v, %v", text, names, err)
		}
	}
}

// Weights that a network has no use for are those of another network: here of a shortcut that is a convolution.
func TestWeightsThatAreLeftOver(t *testing.T) {
	weights, err := weightfile.Read(testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	weights["layer2.0.shortcut.0.weight"] = tensors.FromFlatDataAndDimensions(make([]float32, 32*16), 32, 16, 1, 1)
	path := filepath.Join(t.TempDir(), "other.safetensors")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(file, weights, nil); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path)
	wantError(t, err, path, "layer2.0.shortcut.0.weight", "no use for")
}
