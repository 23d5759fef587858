package learn

import (
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
)

// The last layer on the features says what the network says of the images, and is trained without changing it.
func TestLastLayerIsTheNetworksOwn(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	net, err := SmallCNN(model.Spec{Height: 8, Width: 8, Channels: 1, Classes: []string{"a", "b", "c"}}, 3, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	flat := make([]float32, 5*64)
	for i := range flat {
		flat[i] = float32(i*7%11) / 11
	}
	images := tensors.FromFlatDataAndDimensions(flat, 5, 8, 8, 1)
	features, err := FeatureImages(net, images)
	if err != nil {
		t.Fatal(err)
	}
	last, err := LastLayer{Dropout: 0.5}.Of(net)
	if err != nil {
		t.Fatal(err)
	}
	logits := func(m *model.Model, of *tensors.Tensor) []float32 {
		t.Helper()
		x, err := m.Logits(of)
		if err != nil {
			t.Fatal(err)
		}
		flat, err := tensors.CopyFlatData[float32](x)
		if err != nil {
			t.Fatal(err)
		}
		return flat
	}
	whole := logits(net, images)
	if err := approx.All(logits(last, features), whole, 1e-5); err != nil {
		t.Errorf("the last layer of the features and the network of the images: %v", err)
	}
	if last.NumClasses() != 3 || last.ClassName(2) != "c" {
		t.Errorf("its classes are %v", last.Classes())
	}
	several, err := SmallCNN(model.Spec{Height: 8, Width: 8, Channels: 1, Activation: model.Sigmoid}, 3, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := (LastLayer{}).Of(several); err != nil || m.Activation() != model.Sigmoid {
		t.Errorf("the last layer of a network of sigmoids has the activation %v, %v", m.Activation(), err)
	}
	trained, _, err := Recipe{Epochs: 3, BatchSize: 5, LearningRate: 0.1, Seed: 1}.Train(last, features,
		[]int{0, 1, 2, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	if approx.All(logits(trained, features), whole, 1e-3) == nil {
		t.Error("training changes nothing")
	}
	if err := approx.All(logits(net, images), whole, 0); err != nil {
		t.Errorf("training the last layer changes the network: %v", err)
	}
	for name, bad := range map[string]LastLayer{"all": {Dropout: 1}, "less than none": {Dropout: -0.1}} {
		if _, err := bad.Of(net); err == nil {
			t.Errorf("a dropout of %s is no error", name)
		}
	}
	if _, err := (LastLayer{}).Of(nil); err == nil {
		t.Error("the last layer of nil is no error")
	}
	if _, err := FeatureImages(nil, images); err == nil {
		t.Error("the features of nil are no error")
	}
}
