// Package networks has the networks that papers train, by the papers' names.
//
// Each is a struct of settings, whose zero value is the network as it is best known. Its Make gives it random weights,
// drawn as its authors' code draws them (the same distributions, not the same numbers). The weights have the names that
// they have in the PyTorch code that is named with each, and [Fill] puts a file of such weights in:
//
//	m, err := networks.ResNet{}.Make(spec, 1000, 0)
//	m, err = networks.Fill(m, "resnet18.pth")
//
// Package learn has a few smaller ones. Models can be saved and loaded again. Batch normalisation takes the statistics
// of the batch in training: see [model.CallOptions].
package networks

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/weightfile"
)

// network is what each of them is. It is a named struct that can be compared and holds all that shapes it but the spec
// and the number of classes, which the weights tell.
type network interface {
	// name is what a model of it is called, and what tells the kinds apart in files.
	name() string
	// check finds settings that cannot be.
	check(spec model.Spec) error
	// forward makes the logits of images, or the weights: see layers. Without weights there, classes is how many
	// there are to be.
	forward(l *layers, x value, classes int) value
	// norm is how it normalises.
	norm() Norm
	// init is how its weights are drawn.
	init() initial
}

// Norm is how a network normalises.
type Norm struct {
	// Groups is how many groups the channels of an image are cut into for group normalisation (Wu and He, ECCV 2018),
	// which takes the place of batch normalisation and keeps its names. 0 is batch normalisation. Groups must divide
	// the number of channels at each place.
	Groups int
	// Standardized has each kernel brought to mean 0 and variance 1 over all but its output channels before it is used:
	// weight standardisation, Qiao et al., arXiv 1903.10520, with 1e-6 added to the variance, as timm's StdConv2d.
	Standardized bool
}

// made is a network with random weights.
func made(n network, spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	if classes < 1 {
		return nil, fmt.Errorf("networks: %s with %d classes cannot be", n.name(), classes)
	}
	if err := checked(n, spec); err != nil {
		return nil, err
	}
	l := newLayers(n, seed)
	n.forward(l, value{channels: spec.Channels, height: spec.Height, width: spec.Width}, classes)
	if l.failed != nil {
		return nil, fmt.Errorf("networks: %s: %w", n.name(), l.failed)
	}
	return of(n, spec, l.weights)
}

func checked(n network, spec model.Spec) error {
	if spec.Height < 1 || spec.Width < 1 || spec.Channels < 1 {
		return fmt.Errorf("networks: %s takes images of %d x %d x %d: say the real Height, Width and Channels in the Spec",
			n.name(), spec.Height, spec.Width, spec.Channels)
	}
	if norm := n.norm(); norm.Groups < 0 {
		return fmt.Errorf("networks: %s normalises in %d groups: take some, or 0 for batch normalisation", n.name(),
			norm.Groups)
	}
	if err := n.check(spec); err != nil {
		return fmt.Errorf("networks: %s: %w", n.name(), err)
	}
	return nil
}

// of is a network with these weights, in the layout of [model.Model.Weights].
func of(n network, spec model.Spec, weights map[string]*tensors.Tensor) (*model.Model, error) {
	if spec.Name == "" {
		spec.Name = n.name()
	}
	return model.FromArchitecture(n, weights, spec, func(b *model.Builder, x *graph.Node) *graph.Node {
		d := x.Shape().Dimensions
		l := &layers{b: b, norm: n.norm()}
		return n.forward(l, value{node: x, height: d[1], width: d[2], channels: d[3]}, 0).node
	})
}

// Fill returns the network with the weights of a file in the place of its own: PyTorch's (.pth, .pt, .th), .safetensors
// or .npz. The file must have all of them, in the same shapes, and no others; counters of batches, which are integers,
// are left out, and so is the "module." that DataParallel puts before names.
func Fill(m *model.Model, path string) (*model.Model, error) {
	if m == nil {
		return nil, fmt.Errorf("networks: there is no network to put the weights of %s into: make it first", path)
	}
	read, err := weightfile.Read(path)
	if err != nil {
		return nil, err
	}
	weights := weightfile.KernelsLast(read)
	own := m.Weights()
	for _, name := range slices.Sorted(maps.Keys(own)) {
		w := weights[name]
		if w == nil {
			return nil, fmt.Errorf("networks: %s has no weight %q of %s%s", path, name, m.Name(),
				nearest.DidYouMean(name, slices.Sorted(maps.Keys(weights))))
		}
		if got, want := w.Shape().Dimensions, own[name].Shape().Dimensions; !slices.Equal(got, want) {
			return nil, fmt.Errorf(
				"networks: weight %q lies in %s as %v and in %s as %v: another number of classes, or another network", name, path,
				got, m.Name(), want)
		}
		delete(weights, name)
		own[name] = w
	}
	if len(weights) > 0 {
		more := slices.Sorted(maps.Keys(weights))
		return nil, fmt.Errorf("networks: %s has %d weights that %s has not: %s", path, len(more), m.Name(),
			strings.Join(more[:min(len(more), 5)], ", "))
	}
	return m.WithWeights(own)
}

// kinds are all networks, as they are saved: the settings are their fields.
var kinds = []network{ResNet{}, CIFARResNet{}, PreResNet{}, WideResNet{}, PrivateWideResNet{}, BagNet{}, SmallBagNet{},
	ViT{}, UNet{}, DeepLab{}}

func init() {
	for _, kind := range kinds {
		t := reflect.TypeOf(kind)
		model.RegisterArchitecture(model.Architecture{
			Name: "networks." + t.Name(),
			Of: func(settings any) (string, bool) {
				if reflect.TypeOf(settings) != t {
					return "", false
				}
				text, err := json.Marshal(settings)
				return string(text), err == nil
			},
			Make: func(spec model.Spec, weights map[string]*tensors.Tensor, settings string) (*model.Model, error) {
				n, err := read(t.Name(), []byte(settings))
				if err != nil {
					return nil, err
				}
				if err := checked(n, spec); err != nil {
					return nil, err
				}
				return of(n, spec, weights)
			},
		})
	}
}

// read makes a network of its kind and its settings as JSON.
func read(kind string, settings []byte) (network, error) {
	for _, k := range kinds {
		if t := reflect.TypeOf(k); t.Name() == kind {
			n := reflect.New(t)
			if err := json.Unmarshal(settings, n.Interface()); err != nil {
				return nil, fmt.Errorf("networks: the settings of a %s, %s, cannot be read: %w", kind, settings, err)
			}
			return n.Elem().Interface().(network), nil
		}
	}
	return nil, fmt.Errorf("networks: there is no network %q", kind)
}

// or is otherwise where a setting is left 0.
func or(setting, otherwise int) int {
	if setting == 0 {
		return otherwise
	}
	return setting
}
