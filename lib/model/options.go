package model

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/imagenet"
)

// Option says of a model's file what the file does not say, for [Load]. The functions that return one say it.
type Option struct {
	title string
	say   func(m *meaning) error
}

// String is what it says.
func (o Option) String() string {
	if o.say == nil {
		return "an option that says nothing"
	}
	return o.title
}

// meaning is how a network's pixels and answers are meant, as far as somebody says so.
type meaning struct {
	spec       Spec     // what is 0 or nil is not said
	normalised bool     // whether Mean and Std are said, which may be none
	resized    bool     // whether Resize is said
	names      []string // of the classes; nil if nothing says them
	namedBy    string   // what says them
}

var (
	// ImageNet says that pixels are normalised by ImageNet's mean and standard deviation, as torchvision's networks
	// want it.
	ImageNet = Normalized(imagenet.Mean, imagenet.Std)
	// HalfHalf says that pixels go from -1 to 1, as many of Google's networks and timm's vision transformers want it.
	HalfHalf = Normalized([]float64{0.5, 0.5, 0.5}, []float64{0.5, 0.5, 0.5})
	// Unnormalized says that the network takes pixels from 0 to 1 as they are.
	Unnormalized = Normalized(nil, nil)
)

// Normalized says how pixels, in 0..1, are normalised before the network gets them: (x - mean) / std, a number for each
// channel. An ONNX file that does so by itself wants [Unnormalized].
func Normalized(mean, std []float64) Option {
	title := fmt.Sprintf("pixels less %v, over %v", mean, std)
	if len(mean) == 0 && len(std) == 0 {
		title = "pixels as they are"
	}
	return Option{title, func(m *meaning) error {
		if len(mean) != len(std) {
			return fmt.Errorf("%d means and %d standard deviations", len(mean), len(std))
		}
		for _, s := range std {
			if !(s > 0) || math.IsInf(s, 0) {
				return fmt.Errorf("a standard deviation of %g", s)
			}
		}
		m.spec.Mean, m.spec.Std, m.normalised = slices.Clone(mean), slices.Clone(std), true
		return nil
	}}
}

// Size says how large the images are that the network takes, in pixels.
func Size(height, width int) Option {
	return Option{fmt.Sprintf("images of %d x %d pixels", height, width), func(m *meaning) error {
		if height < 1 || width < 1 {
			return fmt.Errorf("images of %d x %d pixels", height, width)
		}
		m.spec.Height, m.spec.Width = height, width
		return nil
	}}
}

// CropFrom says that a photograph's shorter side is brought to so many pixels before the middle is cut out; 0 stretches
// the whole photograph instead.
func CropFrom(shorter int) Option {
	return Option{fmt.Sprintf("cut out of photographs brought to %d pixels", shorter), func(m *meaning) error {
		if shorter < 0 {
			return fmt.Errorf("photographs are brought to %d pixels", shorter)
		}
		m.spec.Resize, m.resized = shorter, true
		return nil
	}}
}

// ClassNames says what the classes are called, in the order of the network's outputs: a []string, a dataset, or the
// path of a file that has a name in each line, or a list or a map from number to name in JSON.
func ClassNames(names any) Option {
	return Option{"names of classes", func(m *meaning) error {
		switch of := names.(type) {
		case []string:
			m.names, m.namedBy = slices.Clone(of), "the option"
		case string:
			read, err := readNames(of)
			if err != nil {
				return err
			}
			m.names, m.namedBy = read, of
		case *data.Dataset:
			if err := CheckDataset(of); err != nil {
				return err
			}
			m.names, m.namedBy = of.Classes(), "the dataset"
		default:
			return fmt.Errorf("names of classes are a []string, a dataset or a path, not a %T", names)
		}
		if len(m.names) == 0 {
			return errors.New("there are no names of classes")
		}
		return nil
	}}
}

// readNames reads the names of classes of a file.
func readNames(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > 16<<20 {
		return nil, fmt.Errorf("%s is no list of classes", path)
	}
	text, err := regular.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(filepath.Ext(path), ".json") {
		names, err := namesOf(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return names, nil
	}
	var names []string
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	for lines.Scan() {
		names = append(names, strings.TrimSpace(lines.Text()))
	}
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	return names, lines.Err()
}

// namesOf reads a list of names, or a map from number to name, in JSON.
func namesOf(text []byte) ([]string, error) {
	var list []string
	if json.Unmarshal(text, &list) == nil && list != nil {
		return list, nil
	}
	var numbered map[string]string
	if json.Unmarshal(text, &numbered) != nil || len(numbered) == 0 {
		return nil, errors.New("it is neither a list of names nor a map from number to name")
	}
	list = nil
	for i := range len(numbered) {
		name, ok := numbered[strconv.Itoa(i)]
		if !ok {
			return nil, fmt.Errorf("of %d names none has the number %d", len(numbered), i)
		}
		list = append(list, name)
	}
	return list, nil
}

// source is how much what a model was loaded from says.
type source int

const (
	saysAll      source = iota // a model that was saved, or a published one whose preparation is known
	graphAlone                 // an ONNX file
	weightsAlone               // weights that were recognised
)

// meant is the model with what was said of it. What was not said and is only taken for likely is in Assumptions.
func (m *Model) meant(said meaning, from source) (*Model, error) {
	spec := m.Spec()
	if said.normalised {
		spec.Mean, spec.Std = said.spec.Mean, said.spec.Std
		if n := len(spec.Mean); n > 0 && n != spec.Channels {
			return nil, fmt.Errorf("model: %s takes images of %d channels, and %d are to be normalised", spec.Name,
				spec.Channels, n)
		}
	}
	if said.spec.Height > 0 {
		spec.Height, spec.Width = said.spec.Height, said.spec.Width
	}
	if said.resized {
		spec.Resize = said.spec.Resize
	} else if said.spec.Height > 0 && spec.Resize > 0 {
		spec.Resize = spec.Resize * min(spec.Height, spec.Width) / min(m.spec.Height, m.spec.Width)
	}
	if shorter := min(spec.Height, spec.Width); spec.Resize > 0 && spec.Resize < shorter {
		return nil, fmt.Errorf("model: %s takes %d x %d pixels, which cannot be cut out of photographs brought to %d",
			spec.Name, spec.Height, spec.Width, spec.Resize)
	}
	var assumed []string
	switch {
	case said.names != nil && len(said.names) != m.NumClasses():
		return nil, fmt.Errorf("model: %s has %d classes, and %s names %d", spec.Name, m.NumClasses(), said.namedBy,
			len(said.names))
	case said.names != nil:
		spec.Classes = said.names
	case from == graphAlone && spec.Channels == 3:
		if spec.Classes = imagenet.ClassesOf(m.NumClasses()); spec.Classes != nil {
			assumed = append(assumed, "its 1000 classes are taken for ImageNet's: say loupe.ClassNames if they are others")
		}
	}
	switch {
	case said.normalised:
	case from == weightsAlone && spec.Mean == nil:
		assumed = append(assumed,
			"pixels go in from 0 to 1, without normalisation: say loupe.Normalized if it was trained with it")
	case from == weightsAlone:
		assumed = append(assumed,
			"pixels are normalised by ImageNet's mean and deviation: say loupe.HalfHalf or another if it was trained otherwise")
	case from == graphAlone:
		assumed = append(assumed,
			"pixels go in from 0 to 1, without normalisation: say loupe.ImageNet if it was trained with it")
	}
	if !said.resized && from != saysAll {
		assumed = append(assumed, spec.framing()+": say loupe.CropFrom if it was tested otherwise")
	}
	other, err := m.respecified(spec)
	if err != nil {
		return nil, err
	}
	other.assumed = strings.Join(assumed, "; ")
	return other, nil
}

// framing is how a photograph becomes an image of the network's size.
func (s Spec) framing() string {
	if s.Resize == 0 {
		return fmt.Sprintf("photographs are stretched to %d x %d pixels", s.Height, s.Width)
	}
	return fmt.Sprintf("%d x %d pixels are cut out of the middle of photographs brought to %d", s.Height,
		s.Width, s.Resize)
}

// respecified is the same network with another spec.
func (m *Model) respecified(spec Spec) (*Model, error) {
	if spec.Classes != nil && m.classes > 0 && len(spec.Classes) != m.classes {
		return nil, fmt.Errorf("model: %s has %d classes and %d class names", spec.Name, m.classes, len(spec.Classes))
	}
	if spec.shape() == m.spec.shape() {
		other := m.copied()
		other.spec = spec
		return other, nil
	}
	if of := m.architecture.settings; of != nil {
		if !slices.ContainsFunc(knownArchitectures(), func(a Architecture) bool {
			if a.Of == nil {
				return false
			}
			_, ok := a.Of(of)
			return ok
		}) {
			of = respecified{m.architecture} // as Load finds it again when it was saved: see makeOf
		}
		return FromArchitecture(of, m.weights, spec, m.build)
	}
	other := m.copied()
	other.spec = spec
	other.architecture = &architecture{build: m.build, dtype: m.dtype, scaleOf: m.scaleOf, file: m.architecture.file,
		byHand: m.byHand}
	return prepared(other)
}

// Assumptions is what [Load] took for likely, because neither the file nor an option says it; empty if nothing.
func (m *Model) Assumptions() string { return m.assumed }
