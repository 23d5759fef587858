package model

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/assets"
	"github.com/loupeml/loupe/lib/imagenet"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/weightfile"
)

// assetModels are assets that hold a model.
var assetModels = []string{"efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "squeezenet",
	"vit-focus", "u2netp"}

// Names are the models that [Load] knows by name. Each is an asset, which `loupe fetch NAME` gets.
func Names() []string { return append([]string(nil), assetModels...) }

// Load loads a model by its name (see [Names]) or from a file:
//
//	.pth .pt .th    PyTorch weights of a published network, also as .ckpt, .bin and .pth.tar: see package pretrained
//	.safetensors    the same weights as safetensors, or a model that was saved (loupe.Save), with its class names and how it normalises
//	.npz            the same as NumPy arrays
//	.pkl            SqueezeNet 1.1's weights as NumPy arrays
//	.onnx           any network of an ONNX file: see [FromONNX]
//
// Which architecture weights belong to is seen by their names and shapes, and weights that it has no use for are
// refused. For weights of another one, give the architecture as a graph function to [FromWeights], or export the
// network to ONNX.
//
// Options say what a file does not: how pixels are normalised, how large images are, what the classes are called. What
// they say comes before what a config.json beside the file says, as timm and Hugging Face's hub write it. What nothing
// says is taken for likely: see [Model.Assumptions].
func Load(name string, options ...Option) (*Model, error) {
	m, err := loaded(load(name, options))
	return m, failure.OneLine(err)
}

func load(name string, options []Option) (*Model, error) {
	var said meaning
	for _, option := range options {
		if option.say == nil {
			return nil, fmt.Errorf("model: an option for %s says nothing", name)
		}
		if err := option.say(&said); err != nil {
			return nil, fmt.Errorf("model: what is said of %s cannot be: %w", name, err)
		}
	}
	if info, err := os.Stat(name); err == nil {
		if info.IsDir() {
			return nil, fmt.Errorf(
				"model: %s is a folder: name the file in it, or give a GoMLX checkpoint's folder to FromCheckpoint", name)
		}
		return loadFile(name, said)
	}
	for _, known := range assetModels {
		if name == known {
			m, err := loadAsset(name)
			if err != nil || len(options) == 0 {
				return m, err
			}
			return m.meant(said, saysAll)
		}
	}
	if strings.ContainsAny(name, `/\`) || isModelFile(name) {
		return nil, fmt.Errorf("model: there is no file %s", name)
	}
	return nil, fmt.Errorf("model: there is no model named %q%s; known are %s, or give the path of a file", name,
		nearest.DidYouMean(name, assetModels), strings.Join(assetModels, ", "))
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
			weights, err := weightfile.Read(path)
			if err != nil {
				return nil, err
			}
			m, err := ofWeights(path, name, weights)
			if err != nil {
				return nil, err
			}
			m.spec.Name = name
			return m, nil
		}
	}
	return nil, fmt.Errorf("model: the asset %s in %s has no model file: get it again with `loupe fetch %s`",
		name, dir, name)
}

func isModelFile(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".pth", ".pt", ".th", ".ckpt", ".bin", ".tar", ".pt2", ".safetensors", ".npz", ".pkl", ".onnx":
		return true
	}
	return false
}

// loadFile loads a model from a file, about which something may be said.
func loadFile(path string, said meaning) (*Model, error) {
	if suffix := strings.ToLower(filepath.Ext(path)); suffix == ".safetensors" || suffix == ".npz" {
		if m, err := loadSaved(path); err != nil {
			return nil, err
		} else if m != nil { // it says all, and a person may know better
			return m.meant(said, saysAll)
		}
	}
	said, architecture, err := saidBeside(path, said)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(filepath.Ext(path), ".onnx") {
		m, err := FromONNX(path, said.spec)
		if err != nil {
			return nil, err
		}
		return m.meant(said, graphAlone)
	}
	weights, err := weightfile.Read(path)
	if err != nil {
		return nil, err
	}
	m, err := ofWeights(path, filepath.Base(path)+" "+architecture, weights)
	if err != nil {
		return nil, err
	}
	if m.recognised {
		return m.meant(said, weightsAlone)
	}
	return m.meant(said, saysAll)
}

// ofWeights is the model of a file that holds weights alone. hint is what else is known of them: see [Recogniser].
func ofWeights(path, hint string, weights map[string]*tensors.Tensor) (*Model, error) {
	var err error
	var m *Model
	switch {
	case weights["_blocks.0._depthwise_conv.weight"] != nil:
		m, err = newEfficientNetLite(weights)
	case weights["fire2/squeeze1x1.weight"] != nil:
		m, err = newSqueezeNet(weights)
	case weights["layer1.0.conv1.weight"] != nil && weights["layer3.0.conv1.weight"] != nil &&
		weights["layer4.0.conv1.weight"] == nil:
		m, err = newCIFARResNet(weights)
	default:
		return recognised(path, hint, weights)
	}
	if err != nil {
		return nil, err
	}
	if more := m.UnusedWeights(); len(more) > 0 {
		return nil, fmt.Errorf("model: the weights of %s are those of %s with %d more, which it has no use for (%s): it "+
			"is another network; export it to ONNX",
			path, m.Name(), len(more), strings.Join(more[:min(3, len(more))], ", "))
	}
	return m, nil
}

// Recogniser finds the published network that weights belong to: see package pretrained.
type Recogniser struct {
	// Recognise makes the model of weights by name, in PyTorch's layout; nil without an error if it knows none. hint is
	// what else is known of them: the file's name, and the architecture that a config.json beside it says.
	Recognise func(weights map[string]*tensors.Tensor, hint string) (*Model, error)
	// Nearest says of names of weights which network comes closest, and what is missing of it and left over.
	Nearest func(names []string) string
}

var recogniser Recogniser

// RegisterRecogniser gives [Load] a recogniser for files of weights alone.
func RegisterRecogniser(r Recogniser) { recogniser = r }

// recognised is the model of a file of weights alone.
func recognised(path, hint string, weights map[string]*tensors.Tensor) (*Model, error) {
	names := slices.Sorted(maps.Keys(weights))
	nearest := ""
	if recogniser.Recognise != nil {
		m, err := recogniser.Recognise(weights, hint)
		if err != nil {
			return nil, fmt.Errorf("model: %s: %s", path, strings.TrimPrefix(err.Error(), "pretrained: "))
		}
		if m != nil {
			m.recognised = true
			return m, nil
		}
		if nearest = recogniser.Nearest(names); nearest != "" {
			nearest += "; "
		}
	}
	return nil, fmt.Errorf("model: the %d weights of %s (%s, …) belong to no network known here: %sexport it with "+
		"torch.onnx.export(net, torch.zeros(1, 3, height, width), \"net.onnx\"), or give its architecture to FromWeights",
		len(names), path, strings.Join(names[:min(3, len(names))], ", "), nearest)
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
