package model

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	if got := m.Spec(); !slices.Equal(got.Mean, imagenet.Mean) || !slices.Equal(got.Classes, names) ||
		got.Resize != 2*spec.Height || m.Assumptions() != "" {
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
	config := `{"architecture": "mine", "label_names": [` + strings.Join(labels, ",") +
		`], "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 2], "input_size": [3, ` +
		strconv.Itoa(m.Spec().Height) + `, ` + strconv.Itoa(m.Spec().Width) + `], "crop_pct": 0.5}}`
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if m, err = Load(path); err != nil {
		t.Fatal(err)
	}
	if s := m.Spec(); !slices.Equal(s.Mean, []float64{0.1, 0.2, 0.3}) || s.Std[2] != 2 || s.Classes[0] != "a" ||
		s.Resize != 2*s.Height || m.Assumptions() != "" {
		t.Errorf("it is %+v, assumed %q", s, m.Assumptions())
	}
	if m, err = Load(path, Unnormalized); err != nil || m.Spec().Mean != nil {
		t.Errorf("with an option: %+v, %v", m.Spec(), err)
	}
	if m, err = Load(path, CropFrom(0)); err != nil || m.Spec().Resize != 0 {
		t.Errorf("with an option: %+v, %v", m.Spec(), err)
	}
	for text, want := range map[string]int{`{"0": "a", "1": "b"}`: 2, `["a"]`: 1, `{"1": "a"}`: -1,
		`{"0": "a", "00": "b"}`: -1, `{"x": "a"}`: -1, `3`: -1, `null`: -1, `{}`: -1} {
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

// What Hugging Face's image processors do is done here. The numbers are what these make of a pixel of 51, 102 and 204.
func TestPreprocessorBesideAFile(t *testing.T) {
	for _, c := range []struct {
		title, text string
		pixel       [3]float64 // what becomes of the pixel
		size, crop  int
		want        string
	}{
		{"ViT", `{"do_normalize": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], ` +
			`"resample": 2, "size": 224}`,
			[3]float64{-0.6, -0.2, 0.6}, 224, 0, ""},
		{"ResNet", `{"crop_pct": 0.875, "do_normalize": true, "do_resize": true, "image_mean": [0.485, 0.456, 0.406], ` +
			`"image_std": [0.229, 0.224, 0.225], "size": {"shortest_edge": 224}}`,
			[3]float64{-1.2445415, -0.25, 1.7511111}, 224, 256, ""},
		{"CLIP", `{"crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "do_rescale": true, ` +
			`"rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 240}, "image_mean": [0, 0, 0], "image_std": ` +
			`[1, 1, 1]}`,
			[3]float64{0.2, 0.4, 0.8}, 224, 240, ""},
		{"pixels to 255", `{"do_rescale": false, "do_normalize": true, "image_mean": [51, 2, 4], "image_std": [1, 2, 4], ` +
			`"size": {"height": 32, "width": 32}}`,
			[3]float64{0, 50, 50}, 32, 0, ""},
		{"no normalisation", `{"do_normalize": false, "size": {"height": 32, "width": 32}}`, [3]float64{0.2, 0.4, 0.8},
			32, 0, ""},
		{"neither", `{"do_normalize": false, "do_rescale": false}`, [3]float64{51, 102, 204}, 0, 0, ""},
		{"EfficientNet", `{"rescale_factor": 0.00784313725490196, "rescale_offset": true, "image_mean": [0.5, 0.5, 0.5], ` +
			`"image_std": [0.5, 0.5, 0.5]}`, [3]float64{}, 0, 0, "loupe.Normalized"},
		{"a deviation missing", `{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5]}`, [3]float64{}, 0, 0, "3 means and 1"},
		{"a deviation of 0", `{"image_mean": [0.5], "image_std": [0]}`, [3]float64{}, 0, 0, "deviation of 0"},
		{"a negative size", `{"size": {"height": 4, "width": -4}, "image_mean": [0], "image_std": [1]}`, [3]float64{}, 0,
			0, "4 x -4"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "preprocessor_config.json"), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		said, _, err := saidBeside(filepath.Join(dir, "net.onnx"), meaning{})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.title, err, c.want)
			}
			continue
		}
		if err != nil || !said.normalised || said.resized != (c.size > 0) || said.spec.Height != c.size ||
			said.spec.Resize != c.crop {
			t.Errorf("%s: %v, %+v", c.title, err, said)
			continue
		}
		for i, v := range []float64{51. / 255, 102. / 255, 204. / 255} {
			if said.spec.Mean != nil {
				v = (v - said.spec.Mean[i]) / said.spec.Std[i]
			}
			if !(math.Abs(v-c.pixel[i]) < 1e-6) {
				t.Errorf("%s: channel %d is %g, want %g", c.title, i, v, c.pixel[i])
			}
		}
	}
}
