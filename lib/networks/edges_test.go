package networks

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/imagenet"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
)

func said(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q is not said: %v", want, err)
	}
}

func TestWhatCannotBe(t *testing.T) {
	for _, c := range []struct {
		n    network
		side int
		want string
	}{
		{ResNet{Depth: 20}, 64, "ResNet-20: there is none of depth 20"},
		{ResNet{Stride: 8}, 64, "a stride of 8 takes bottlenecks"},
		{ResNet{Depth: 50, Stride: 7}, 64, "its stride is 32, 16 or 8, not 7"},
		{ResNet{Norm: Norm{Groups: 7}}, 64, "bn1 has 64 channels, which 7 groups cannot share"},
		{ResNet{Norm: Norm{Groups: -1}}, 64, "in -1 groups"},
		{ResNet{}, 0, "say the real Height, Width and Channels"},
		{CIFARResNet{Depth: 21}, 32, "6n+2, such as 20, 32, 44, 56 or 110, not 21"},
		{PreResNet{Depth: 50}, 32, "9n+2 from there on, such as 56, not 50"},
		{PreResNet{Depth: -4}, 32, "not -4"},
		{WideResNet{Depth: 18}, 32, "6n+4, such as 16, 28 or 40, not 18"},
		{WideResNet{Widen: -1}, 32, "-1 times as wide"},
		{PrivateWideResNet{Groups: 5}, 32, "which 5 groups cannot share"},
		{BagNet{Field: 10}, 64, "9, 17 or 33 pixels wide, not 10"},
		{BagNet{}, 8, "the images are too small"},
		{SmallBagNet{}, 4, "the images are too small"},
		{SmallBagNet{Thin: true}, 8, "the images are too small"},
		{ViT{Patch: 5}, 32, "patches of 5 do not fill 32 x 32 pixels"},
		{ViT{Heads: 5}, 32, "5 heads cannot share 192 features"},
		{ViT{Depth: -1}, 32, "cannot be"},
		{UNet{}, 8, "the images are too small"},
		{UNet{Width: -3}, 32, "-3 channels"},
		{DeepLab{Rates: [3]int{1, 0, 2}}, 64, "dilations of [1 0 2]"},
		{DeepLab{Backbone: ResNet{Depth: 3}}, 64, "there is none of depth 3"},
	} {
		_, err := made(c.n, spec(c.side), 10, 0)
		said(t, err, c.want)
	}
	_, err := ResNet{}.Make(spec(64), 0, 0)
	said(t, err, "with 0 classes")
	_, err = SmallBagNet{}.Make(model.Spec{Height: 32, Width: 28, Channels: 3}, 10, 0)
	said(t, err, "images are square, not 32 x 28")
	var n DeepLab
	said(t, json.Unmarshal([]byte(`{"Kind":"UNet","Backbone":{}}`), &n), "a UNet is no backbone")
	said(t, json.Unmarshal([]byte(`{"Kind":"AlexNet","Backbone":{}}`), &n), `no network "AlexNet"`)
	said(t, json.Unmarshal([]byte(`{"Kind":"ResNet","Backbone":{"Depth":"deep"}}`), &n), "cannot be read")
}

// TestFill puts the weights of a trained ResNet-20 of akamaster's kind in, which package model knows as well.
func TestFill(t *testing.T) {
	path := testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors")
	want, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s := spec(32)
	s.Mean, s.Std = imagenet.Mean, imagenet.Std
	m, err := CIFARResNet{}.Make(s, 10, 0)
	if err == nil {
		m, err = Fill(m, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	x := images(2, 32)
	if err := approx.All(flat(t, answer(t, m, x), 1), flat(t, answer(t, want, x), 1), 1e-4); err != nil {
		t.Error(err)
	}

	other, err := CIFARResNet{}.Make(s, 7, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Fill(other, path)
	said(t, err, "another number of classes")
	deeper, err := CIFARResNet{Depth: 26}.Make(s, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Fill(deeper, path)
	said(t, err, `has no weight "layer1.3.bn1.bias"`)
	shallower, err := CIFARResNet{Depth: 14}.Make(s, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Fill(shallower, path)
	said(t, err, "30 weights that ResNet-14 has not")
	_, err = Fill(nil, path)
	said(t, err, "make it first")
	_, err = Fill(m, "nowhere.pth")
	said(t, err, "nowhere.pth")
}

// TestHeadOnAnyNetwork puts the head on networks that are there already.
func TestHeadOnAnyNetwork(t *testing.T) {
	m, err := CIFARResNet{Depth: 8}.Make(spec(16), 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	head := DeepLab{Rates: [3]int{1, 2, 3}, Width: 8, Norm: Norm{Groups: 4}}
	on, err := head.On(m, m.SpatialLayer(), 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	x := images(2, 16)
	if got := answer(t, on, x).Shape().Dimensions; len(got) != 4 || got[1] != 16 || got[2] != 16 || got[3] != 3 {
		t.Errorf("the output has the shape %v", got)
	}
	for name, w := range m.Weights() {
		if !tensorsEqual(on.Weights()[name], w) {
			t.Errorf("the network's weight %s is another one now", name)
		}
	}
	// The same network, made with its backbone, says the same with the same weights.
	whole, err := DeepLab{Backbone: CIFARResNet{Depth: 8}, Rates: head.Rates, Width: 8, Norm: head.Norm}.Make(spec(16), 3,
		9)
	if err != nil {
		t.Fatal(err)
	}
	weights := whole.Weights()
	for name := range weights {
		if w := on.Weights()[strings.TrimPrefix(name, "backbone.")]; w != nil {
			weights[name] = w
		}
	}
	if whole, err = whole.WithWeights(weights); err != nil {
		t.Fatal(err)
	}
	if err := approx.All(flat(t, answer(t, on, x), 1), flat(t, answer(t, whole, x), 1), 1e-5); err != nil {
		t.Error(err)
	}
	said(t, save.Write(filepath.Join(t.TempDir(), "head.safetensors"), on), "which was changed after it was made")

	_, err = head.On(m, "layer9", 3, 2)
	said(t, err, "layer9")
	_, err = head.On(m, "avgpool", 3, 2)
	said(t, err, "a head takes maps")
	_, err = head.On(m, "layer3", 0, 2)
	said(t, err, "with 0 classes")
	_, err = head.On(nil, "layer3", 3, 2)
	said(t, err, "there is no network")
	_, err = DeepLab{Backbone: ResNet{}}.On(m, "layer3", 3, 2)
	said(t, err, "leave out the Backbone")
}

func tensorsEqual(a, b *tensors.Tensor) bool { return a != nil && b != nil && a.Equal(b) }

// TestSeeds draws the same weights from the same seed, and others from another one.
func TestSeeds(t *testing.T) {
	weights := func(seed uint64) map[string]*tensors.Tensor {
		m, err := WideResNet{Depth: 10, Widen: 1}.Make(spec(8), 3, seed)
		if err != nil {
			t.Fatal(err)
		}
		return m.Weights()
	}
	a, again, other := weights(1), weights(1), weights(2)
	for name, w := range a {
		if !w.Equal(again[name]) {
			t.Errorf("%s is drawn otherwise from the same seed", name)
		}
	}
	if a["fc.weight"].Equal(other["fc.weight"]) {
		t.Error("two seeds draw the same weights")
	}
}

// TestTokensCanBeDropped asks for the answer without some patches, and with all.
func TestTokensCanBeDropped(t *testing.T) {
	m, err := ViT{Width: 24, Depth: 1, Heads: 2}.Make(spec(16), 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if g := m.Grid(); g.Rows != 4 || g.Columns != 4 {
		t.Errorf("the grid is %v", g)
	}
	program, err := model.NewExec(func(x, all, some *graph.Node) []*graph.Node {
		keep := func(patches *graph.Node, capacity int) *graph.Node {
			return m.CallAs(x, model.CallOptions{Keep: &model.Keep{Patches: patches, Capacity: capacity}}).Logits
		}
		return []*graph.Node{m.Call(x).Logits, keep(all, 16), keep(some, 16), keep(some, 8)}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Finalize()
	all, some := make([]float32, 16), make([]float32, 16)
	for i := range all {
		all[i] = 1
		if i%3 == 0 {
			some[i] = 1
		}
	}
	out, err := program.Call(images(1, 16), tensors.FromFlatDataAndDimensions(all, 1, 16),
		tensors.FromFlatDataAndDimensions(some, 1, 16))
	if err != nil {
		t.Fatal(err)
	}
	whole := flat(t, out[0], 1)
	if err := approx.All(flat(t, out[1], 1), whole, 1e-6); err != nil {
		t.Errorf("with all patches: %v", err)
	}
	if err := approx.All(flat(t, out[3], 1), flat(t, out[2], 1), 1e-6); err != nil {
		t.Errorf("in a shorter sequence: %v", err)
	}
	if approx.All(flat(t, out[2], 1), whole, 1e-6) == nil {
		t.Error("without ten patches the answer is the same")
	}
}

// What tokens attend to has four axes as pictures have, and is none: Grad-CAM says so.
func TestAttentionIsNoPicture(t *testing.T) {
	m, err := ViT{Width: 24, Depth: 2, Heads: 2}.Make(spec(16), 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, l := range m.Layers() {
		if len(l.Shape) == 3 && l.Shape[0] == 2 && l.Shape[1] == l.Shape[2] { // heads, tokens, tokens
			found++
			if l.Layout != model.NotSpatial {
				t.Errorf("%s, %v, is taken for a picture", l.Name, l.Shape)
			}
			if _, err := (attrib.GradCAM{Layer: l.Name}).Attribute(m, images(1, 16), nil); err == nil ||
				!strings.Contains(err.Error(), "two spatial axes") {
				t.Errorf("Grad-CAM of %s: %v", l.Name, err)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d attentions are named, want 2", found)
	}
	t.Logf("the last layer with positions is %q", m.SpatialLayer())
}
