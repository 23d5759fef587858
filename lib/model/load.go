package model

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/assets"
	"github.com/loupeml/loupe/lib/imagenet"
	"github.com/loupeml/loupe/lib/weightfile"
)

// assetModels are assets that hold a model.
var assetModels = []string{"efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "squeezenet", "vit-focus", "u2netp"}

// The statistics of ImageNet by which most networks' inputs are normalised.

// Names are the models that [Load] knows by name. Each is an asset, which `loupe fetch NAME` gets.
func Names() []string { return append([]string(nil), assetModels...) }

// Load loads a model by its name (see [Names]) or from a file:
//
//	.pth .pt .th    PyTorch weights of EfficientNet-Lite0 to 4 or a CIFAR ResNet
//	.safetensors    the same weights as safetensors, or a model that was saved (loupe.Save), with its class names and how it normalises
//	.npz            the same as NumPy arrays
//	.pkl            SqueezeNet 1.1's weights as NumPy arrays
//	.onnx           any network that GoMLX can run
//
// Which architecture weights belong to is seen by their names and shapes; for weights of another one, give the
// architecture as a graph function to [FromWeights].
func Load(name string) (*Model, error) {
	if info, err := os.Stat(name); err == nil {
		if info.IsDir() {
			return nil, fmt.Errorf("model: %s is a folder: name the file in it, or give a GoMLX checkpoint's folder to FromCheckpoint", name)
		}
		return loadFile(name)
	}
	for _, known := range assetModels {
		if name == known {
			return loadAsset(name)
		}
	}
	if strings.ContainsAny(name, `/\`) || isModelFile(name) {
		return nil, fmt.Errorf("model: there is no file %s", name)
	}
	return nil, fmt.Errorf("model: there is no model named %q%s; known are %s, or give the path of a file", name, nearest.DidYouMean(name, assetModels), strings.Join(assetModels, ", "))
}

func loadAsset(name string) (*Model, error) {
	dir, err := assets.Path(name)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	for _, e := range entries {
		if isModelFile(e.Name()) {
			path := filepath.Join(dir, e.Name())
			if name == "vit-focus" || name == "u2netp" { // which find subjects
				return FromONNX(path, Spec{Name: name, Mean: imagenet.Mean, Std: imagenet.Std})
			}
			m, err := loadFile(path)
			if err != nil {
				return nil, err
			}
			m.spec.Name = name
			return m, nil
		}
	}
	return nil, fmt.Errorf("model: the asset %s in %s has no model file: get it again with `loupe fetch %s`", name, dir, name)
}

func isModelFile(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".pth", ".pt", ".th", ".safetensors", ".npz", ".pkl", ".onnx":
		return true
	}
	return false
}

func loadFile(path string) (*Model, error) {
	if strings.EqualFold(filepath.Ext(path), ".onnx") {
		return FromONNX(path, Spec{})
	}
	if suffix := strings.ToLower(filepath.Ext(path)); suffix == ".safetensors" || suffix == ".npz" {
		if m, err := loadSaved(path); m != nil || err != nil {
			return m, err
		}
	}
	weights, err := weightfile.Read(path)
	if err != nil {
		return nil, err
	}
	switch {
	case weights["_blocks.0._depthwise_conv.weight"] != nil:
		return newEfficientNetLite(weights)
	case weights["fire2/squeeze1x1.weight"] != nil:
		return newSqueezeNet(weights)
	case weights["layer1.0.conv1.weight"] != nil && weights["layer3.0.conv1.weight"] != nil && weights["layer4.0.conv1.weight"] == nil:
		return newCIFARResNet(weights)
	}
	names := slices.Sorted(maps.Keys(weights))
	return nil, fmt.Errorf("model: the %d weights of %s (%s, …) belong to no architecture known here: give yours to FromWeights", len(names), path, strings.Join(names[:min(3, len(names))], ", "))
}

// FromWeights makes a model of a weight file and an architecture: a graph function that takes the images,
// [N, H, W, C], normalised by the spec's Mean and Std, asks the builder for weights by their name in the file,
// and returns the logits, [N, K]. Convolution kernels, the weights of rank 4, are turned from PyTorch's
// [O, I, KH, KW] to [KH, KW, I, O], GoMLX's order.
func FromWeights(path string, spec Spec, fn any) (*Model, error) {
	weights, err := weightfile.Read(path)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(filepath.Ext(path), ".pkl") {
		weights = weightfile.KernelsLast(weights)
	}
	if spec.Name == "" {
		spec.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	build, err := graphFunction(fn)
	if err != nil {
		return nil, err
	}
	return handMade(newModel(spec, weights, build))
}
