package pretrained

import (
	"compress/gzip"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/safetensors"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/weightfile"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// golden is a network of bench/oracles/pretrained.py.
type golden struct {
	Family, Library, Name string
	Side, Channels        int
	Always                bool
	Shapes                map[string][]int
	Logits                []float64 // of two images, those of every 37th class
}

func goldens(t *testing.T) []golden {
	t.Helper()
	f, err := os.Open("testdata/pretrained.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	if err := json.NewDecoder(r).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// formula are the weights that the oracle puts in.
func formula(shapes map[string][]int) map[string]*tensors.Tensor {
	return oracle.HashedWeights(shapes, func(name string, shape []int, size int, u float64) float64 {
		ends := func(with ...string) bool {
			return slices.ContainsFunc(with, func(s string) bool { return strings.HasSuffix(name, s) })
		}
		switch {
		case ends("running_mean", "bias", "token", "pos_embed", "pos_embedding", "bias_table"):
			return 0.1 * u
		case ends("running_var"):
			return 1 + 0.3*u
		case len(shape) == 1 || len(shape) == 3:
			return 1 + 0.2*u
		}
		return u * math.Sqrt(4.5/float64(size/shape[0]))
	})
}

// zeros are weights of these shapes, where their numbers do not matter.
func zeros(shapes map[string][]int) map[string]*tensors.Tensor {
	all := map[string]*tensors.Tensor{}
	for name, shape := range shapes {
		size := 1
		for _, d := range shape {
			size *= d
		}
		all[name] = tensors.FromFlatDataAndDimensions(make([]float32, size), shape...)
	}
	return all
}

// Each network is found by the names of its weights, and says what torchvision or timm says.
func TestNetworksAreTorchvisionsAndTimms(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Library+"/"+g.Name, func(t *testing.T) {
			if !g.Always {
				testenv.Heavy(t)
			}
			weights := formula(g.Shapes)
			n, spec, err := find(weights, g.Name+".pth")
			if err != nil || n.Family != g.Family {
				t.Fatalf("it is taken for %+v: %v", n, err)
			}
			t.Logf("%s, images of %d x %d", spec.Name, spec.Height, spec.Width)
			if spec.Channels != g.Channels {
				t.Errorf("images have %d channels, want %d", spec.Channels, g.Channels)
			}
			spec.Height, spec.Width, spec.Mean, spec.Std = g.Side, g.Side, nil, nil
			m, err := assembled(n, weightfile.KernelsLast(weights), spec)
			if err != nil {
				t.Fatal(err)
			}
			images := make([]float32, 2*g.Side*g.Side*g.Channels)
			for i, u := range oracle.Hashed("images", len(images)) {
				images[i] = float32(u)
			}
			logits, err := m.Logits(tensors.FromFlatDataAndDimensions(images, 2, g.Side, g.Side, g.Channels))
			if err != nil {
				t.Fatal(err)
			}
			all, largest := tensors.MustCopyFlatData[float32](logits), 0.0
			var got []float32
			for i, v := range all {
				if i%1000%37 == 0 {
					got = append(got, v)
				}
			}
			for _, v := range g.Logits {
				largest = max(largest, math.Abs(v))
			}
			if err := approx.All(got, g.Logits, 1e-4*largest); err != nil {
				t.Error(err)
			}
		})
	}
}

// What has all weights of a network and more, or not all of them, is another network.
func TestOtherNetworksAreRefused(t *testing.T) {
	all := goldens(t)
	of := func(name string) map[string][]int {
		i := slices.IndexFunc(all, func(g golden) bool { return g.Name == name })
		if i < 0 {
			t.Fatalf("there is no golden of %s", name)
		}
		return maps.Clone(all[i].Shapes)
	}
	for _, c := range []struct {
		what, of, hint string
		change         func(shapes map[string][]int)
		want           string
	}{
		{"another attention", "resnet18", "", func(s map[string][]int) { s["layer1.0.attn.fc1.weight"] = []int{4, 64, 1, 1} },
			"with 1 more, which it has no use for (layer1.0.attn.fc1.weight)"},
		{"a part more", "tf_mobilenetv3_small_100", "tf_mobilenetv3_small_100.pth",
			func(s map[string][]int) { s["blocks.1.0.aa.weight"] = []int{3, 3} }, "(blocks.1.0.aa.weight)"},
		{"a part is missing", "resnet18", "", func(s map[string][]int) { delete(s, "layer3.1.bn2.weight") },
			`no weight "layer3.1.bn2.weight"`},
		{"a shortcut is missing", "resnet18", "", func(s map[string][]int) {
			for name := range s {
				if strings.HasPrefix(name, "layer2.0.downsample") {
					delete(s, name)
				}
			}
		}, "layer2.0 has no convolution on its shortcut"},
		{"one of two", "efficientnet_lite0", "model.safetensors", nil, "give the file the name of the one that it is"},
		{"other channels", "efficientnet_lite0", "efficientnet_lite0.pth",
			func(s map[string][]int) { s["conv_head.weight"] = []int{1288, 320, 1, 1} }, "of none that is known"},
		{"one that blurs", "resnet18", "resnetblur18.a1_in1k.pth", nil,
			"it is a resnetblur, whose weights have a ResNet's names"},
		{"one that takes means", "resnet10t", "seresnextaa101d_32x8d.pth", nil, "it is a resnextaa"},
		{"one that takes means, too", "resnet50", "resnetaa50-model.safetensors", nil, "it is a resnetaa"},
		{"timm's least ConvNeXt", "convnext_atto", "", func(s map[string][]int) {
			for name, d := range s {
				for i, n := range d {
					if n == 40 {
						d = slices.Clone(d)
						d[i] = 24
						s[name] = d
					}
				}
			}
		}, "a stem of 24 channels belongs to no published one"},
		{"timm's least ViT", "vit_tiny_patch16_224", "", func(s map[string][]int) {
			for name, d := range s {
				for i, n := range d {
					if n == 192 || n == 576 || n == 768 {
						d = slices.Clone(d)
						d[i] = n / 3
						s[name] = d
					}
				}
			}
		}, "64 features do not tell how many heads"},
		{"heads that nothing tells", "vit_tiny_patch16_224", "", func(s map[string][]int) {
			for name, d := range s {
				for i, n := range d {
					if n == 192 || n == 576 || n == 768 {
						d = slices.Clone(d)
						d[i] = n / 192 * 200
						s[name] = d
					}
				}
			}
		}, "200 features do not tell how many heads"},
	} {
		shapes := of(c.of)
		if c.change != nil {
			c.change(shapes)
		}
		m, err := Recognise(zeros(shapes), c.hint)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %q", c.what, m, err, c.want)
		}
	}
	with := map[string]*tensors.Tensor{"criterion.weight": tensors.FromValue([]float32{1, 2})}
	for name, w := range zeros(of("resnet18")) {
		with["model."+name] = w
	}
	if m, err := Recognise(with, ""); err == nil || !strings.Contains(err.Error(),
		"102 weights, whose names begin with model., are those of a ResNet-18, and 1 others are not (criterion.weight)") {
		t.Errorf("beside a loss it is %v, %v", m, err)
	}
	few := map[string]*tensors.Tensor{}
	for name, w := range zeros(of("resnet18")) {
		if !strings.HasPrefix(name, "layer4") {
			few[name] = w
		}
	}
	if m, err := Recognise(few, ""); m != nil || err != nil {
		t.Errorf("without its end it is %v, %v", m, err)
	}
	if text := Nearest(slices.Collect(maps.Keys(few))); !strings.Contains(text, "nearest is ResNet") {
		t.Errorf("nearest: %q", text)
	}
	if text := Nearest([]string{"first", "second.weight"}); text != "" {
		t.Errorf("nearest: %q", text)
	}
}

// A file is loaded by its path, with what training programs put before names, saved and loaded again.
func TestFilesOfWeights(t *testing.T) {
	all := goldens(t)
	g := all[slices.IndexFunc(all, func(g golden) bool { return g.Name == "mobilenet_v3_small" })]
	long := map[string]*tensors.Tensor{}
	for name, w := range formula(g.Shapes) {
		long["module.model."+name] = w
	}
	path := filepath.Join(t.TempDir(), "mine.safetensors")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(file, long, nil); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name() != "MobileNetV3 small" || m.Spec().Height != 224 || len(m.UnusedWeights()) > 0 {
		t.Errorf("it is %s", m)
	}
	again := filepath.Join(t.TempDir(), "saved.safetensors")
	if err := save.Write(again, m); err != nil {
		t.Fatal(err)
	}
	other, err := model.Load(again)
	if err != nil {
		t.Fatal(err)
	}
	images := tensors.FromFlatDataAndDimensions(make([]float32, 224*224*3), 1, 224, 224, 3)
	first, err := m.Logits(images)
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.Logits(images)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Equal(second) {
		t.Error("the saved model says something else")
	}
}
