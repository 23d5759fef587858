package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/numpy"
	"github.com/loupeml/loupe/lib/internal/safetensors"
	"github.com/loupeml/loupe/lib/weightfile"
)

// Architecture is a network that [Load] can build anew for weights that were saved.
type Architecture struct {
	Name string // such as "EfficientNet-Lite"
	// Settings are those that a network with these weights can have, besides what the weights' shapes tell; nil where
	// the weights are not those of such a network. Most need only one, the empty one. It may be nil where Of is given.
	Settings func(weights map[string]*tensors.Tensor) []string
	// Of, unless nil, tells whether what [FromArchitecture] was given as settings are those of such a network, and
	// writes them down for Make: for networks whose weights do not tell all of it.
	Of func(settings any) (written string, ok bool)
	// Make builds the network by [FromArchitecture]. The weights lie as in [Model.Weights].
	Make func(spec Spec, weights map[string]*tensors.Tensor, settings string) (*Model, error)
}

var (
	architecturesMu sync.Mutex // guards architectures
	architectures   = []Architecture{
		{Name: "EfficientNet-Lite", Settings: hasWeight("_blocks.0._depthwise_conv.weight"),
			Make: makeOf(newEfficientNetLite)},
		{Name: "CIFAR ResNet", Settings: hasWeight("layer1.0.conv1.weight"), Make: makeOf(newCIFARResNet)},
		{Name: "SqueezeNet 1.1", Settings: hasWeight("fire2/squeeze1x1.weight"),
			Make: func(spec Spec, weights map[string]*tensors.Tensor, _ string) (*Model, error) {
				return FromArchitecture(squeezeNet{}, weights, spec, buildSqueezeNet)
			}},
	}
)

// RegisterArchitecture makes a network known to [Load] and to saving: package learn does so with its own.
func RegisterArchitecture(a Architecture) {
	architecturesMu.Lock()
	defer architecturesMu.Unlock()
	architectures = append(architectures, a)
}

func knownArchitectures() []Architecture {
	architecturesMu.Lock()
	defer architecturesMu.Unlock()
	return slices.Clone(architectures)
}

func hasWeight(name string) func(map[string]*tensors.Tensor) []string {
	return func(weights map[string]*tensors.Tensor) []string {
		if weights[name] == nil {
			return nil
		}
		return []string{""}
	}
}

// makeOf makes the network that recognise finds for weights in a file's layout, with the spec given.
func makeOf(recognise func(map[string]*tensors.Tensor) (*Model, error)) func(Spec, map[string]*tensors.Tensor,
	string) (*Model, error) {
	return func(spec Spec, weights map[string]*tensors.Tensor, _ string) (*Model, error) {
		m, err := recognise(weightfile.KernelsFirst(weights))
		if err != nil {
			return nil, err
		}
		if spec.shape() != m.spec.shape() {
			return FromArchitecture(respecified{m.architecture}, m.weights, spec, m.build)
		}
		m.spec = spec
		return m, nil
	}
}

// respecified is an architecture with another spec than its publishers'.
type respecified struct{ of *architecture }

// The metadata of a saved model.
const (
	specKey         = "loupe.spec"         // its Spec as JSON
	architectureKey = "loupe.architecture" // the name by which Load finds how to build it; empty if none does
	settingsKey     = "loupe.settings"
)

// Arrays are what a model is saved as: its weights by name, convolution kernels as PyTorch has them, [O, I, KH, KW],
// and as metadata its spec with the names of the classes, and the architecture that [Load] builds it of. Where the
// model is of none that is known here, but was made of a graph function, the file can be read by [FromWeights] with
// that function. Of an ONNX file's model the weights are saved as they lie, and where the file is. It is an error to
// save what no file could bring back: a model without weights of its own, such as an ensemble or a function, and one
// whose network was changed, as [Model.Extend] does. No ONNX is written: a graph may have any of XLA's operations,
// which are not all said in ONNX's here; a network that PyTorch has too can load the saved weights there, and export
// it.
func (m *Model) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if err := m.there(); err != nil {
		return nil, nil, err
	}
	if len(m.weights) == 0 {
		return nil, nil, fmt.Errorf("model: %s has no weights of its own to save", m.Name())
	}
	a, settings, known := m.ofKnownArchitecture()
	if !known && !m.byHand && m.architecture.file == "" {
		return nil, nil, fmt.Errorf("model: %s cannot be saved: its weights do not tell its network, which was changed "+
			"after it was made; save the model that it was made of, and change that again", m.Name())
	}
	spec, err := json.Marshal(m.Spec())
	if err != nil {
		return nil, nil, fmt.Errorf("model: %w", err)
	}
	metadata := map[string]string{"format": "pt", specKey: string(spec)}
	if m.architecture.file != "" {
		if metadata[onnxDigestKey], err = digestOf(m.architecture.file); err != nil {
			return nil, nil, fmt.Errorf("%w (the ONNX file that %s was made of says how its weights are used)", err, m.Name())
		}
		metadata[onnxKey] = m.architecture.file
		return m.Weights(), metadata, nil
	}
	if known {
		metadata[architectureKey] = a.Name
		if settings != "" {
			metadata[settingsKey] = settings
		}
	}
	return weightfile.KernelsFirst(m.weights), metadata, nil
}

// handMade marks a model whose graph function somebody has given, and can give again to [FromWeights].
func handMade(m *Model, err error) (*Model, error) {
	if err == nil {
		m.byHand = true
	}
	return m, err
}

// ofKnownArchitecture finds the known architecture that the model is of.
func (m *Model) ofKnownArchitecture() (a Architecture, settings string, ok bool) {
	known := knownArchitectures()
	for _, a := range known {
		if a.Of != nil && m.architecture.settings != nil {
			if settings, ok := a.Of(m.architecture.settings); ok {
				return a, settings, true
			}
		}
	}
	for _, a := range known {
		if a.Settings == nil {
			continue
		}
		for _, settings := range a.Settings(m.weights) {
			if other, err := a.Make(m.Spec(), m.weights, settings); err == nil && other.architecture == m.architecture {
				return a, settings, true
			}
		}
	}
	return a, "", false
}

// readSaved reads the arrays and the metadata of a file that was saved.
func readSaved(path string) (arrays map[string]*tensors.Tensor, metadata map[string]string, err error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".safetensors":
		var skipped map[string]string
		arrays, metadata, skipped, err = safetensors.Read(path)
		for name, kind := range skipped {
			err = fmt.Errorf("%s is of the type %s, which is not known here", name, kind)
		}
	case ".npz":
		arrays, metadata, err = numpy.ReadArchive(path)
	default:
		err = errors.New("answers and models are saved as .safetensors or .npz")
	}
	return arrays, metadata, notWhole(path, err)
}

// savedMetadata is the metadata of such a file alone.
func savedMetadata(path string) (metadata map[string]string, err error) {
	if strings.EqualFold(filepath.Ext(path), ".npz") {
		metadata, err = numpy.ArchiveMetadata(path)
	} else {
		metadata, err = safetensors.Metadata(path)
	}
	return metadata, notWhole(path, err)
}

// notWhole names the file that cannot be read.
func notWhole(path string, err error) error {
	if err == nil {
		return nil
	}
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return fmt.Errorf("model: %w", err)
	}
	kind := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	return failure.OneLine(fmt.Errorf("model: %s is not a whole %s file: %w", path, kind, err))
}

// loadSaved loads a model that was saved; nil if the file is another.
func loadSaved(path string) (*Model, error) {
	metadata, err := savedMetadata(path)
	if err != nil || metadata[specKey] == "" {
		return nil, nil // reading the weights says what is wrong
	}
	if file := metadata[onnxKey]; file != "" {
		return loadSavedONNX(path, file, metadata[onnxDigestKey])
	}
	spec, err := SavedSpec(path)
	if err != nil {
		return nil, err
	}
	if err := spec.imaginable(); err != nil {
		return nil, fmt.Errorf("model: %s %w", path, err)
	}
	name := metadata[architectureKey]
	if name == "" {
		return nil, fmt.Errorf("model: %s holds the weights of %s, an architecture that only your code knows: give its "+
			"graph function to FromWeights(%q, spec, fn); SavedSpec reads the spec",
			path, spec.Name, path)
	}
	var known []string
	for _, a := range knownArchitectures() {
		if a.Name == name {
			weights, err := weightfile.Read(path)
			if err != nil {
				return nil, err
			}
			m, err := a.Make(spec, weightfile.KernelsLast(weights), metadata[settingsKey])
			if err != nil {
				return nil, fmt.Errorf("%w (in %s)", err, path)
			}
			return m, nil
		}
		known = append(known, a.Name)
	}
	return nil, fmt.Errorf("model: %s is a %s, which is not known here; known are %s", path, name,
		strings.Join(known, ", "))
}

// mostPixels is how many numbers an image of a model's file may have, a gigabyte, and mostSide how many pixels its
// shorter side before it is cropped.
const (
	mostPixels = 1 << 28
	mostSide   = 1 << 14
)

// imaginable refuses the spec of a file whose images nobody has. Networks are built for it.
func (s Spec) imaginable() error {
	if s.Height < 1 || s.Width < 1 || s.Channels < 1 || s.Height > mostPixels/s.Width ||
		s.Height*s.Width > mostPixels/s.Channels {
		return fmt.Errorf("tells of images of %d x %d x %d", s.Height, s.Width, s.Channels)
	}
	if s.Resize < 0 || s.Resize > mostSide {
		return fmt.Errorf("tells of images that are made %d pixels large", s.Resize)
	}
	return nil
}

// SavedSpec reads the spec of a model that was saved, with the names of its classes.
func SavedSpec(path string) (Spec, error) {
	var spec Spec
	metadata, err := savedMetadata(path)
	if err != nil {
		return spec, err
	}
	if metadata[specKey] == "" {
		return spec, fmt.Errorf("model: %s says nothing of its network: loupe.Save has not written it", path)
	}
	if err := json.Unmarshal([]byte(metadata[specKey]), &spec); err != nil {
		return spec, fmt.Errorf("model: %s: what it says of its network cannot be read: %w", path, err)
	}
	return spec, nil
}
