package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/stats"
)

// Dataset is what a model needs of a dataset, such as one of package data: images that
// are loaded a batch at a time.
type Dataset interface {
	// Len is the number of images.
	Len() int
	// Images returns the images with these numbers, [len(indices), H, W, C] float32 in 0..1.
	Images(indices ...int) (*tensors.Tensor, error)
}

// Labeled is a dataset whose classes are known. A label of -1 is unknown. If it has names for them, a method
// Classes() []string says these.
type Labeled interface {
	Dataset
	Labels() []int
}

// batch is a tensor of images as a dataset.
type batch struct{ images *tensors.Tensor }

func (b batch) Len() int {
	if b.images == nil || b.images.Rank() == 0 {
		return 0
	}
	return b.images.Shape().Dimensions[0]
}

func (b batch) Images(indices ...int) (*tensors.Tensor, error) {
	return rows.Take(b.images, indices[0], indices[0]+len(indices), len(indices))
}

// The keys of programs that lead to one of the network's values. What is made of logits is made of them in Go: one
// program for predictions, confidences, probabilities and top classes.
type (
	outputKey      struct{}
	featuresKey    struct{}
	activationsKey struct{ layer string }
	mapKey         struct{ name string }
)

// OutputOf is [Model.Output] for a dataset.
func (m *Model) OutputOf(ds Dataset) (*tensors.Tensor, error) {
	return m.one("predictions", outputKey{}, ds, m.checkLogits, func(out Outputs) *graph.Node { return out.Logits })
}

// LogitsOf is [Model.Logits] for a dataset.
func (m *Model) LogitsOf(ds Dataset) (*tensors.Tensor, error) {
	if err := m.classifier(); err != nil {
		return nil, err
	}
	return m.OutputOf(ds)
}

// said are the answers to a dataset's images, without labels and names.
func (m *Model) said(ds Dataset) (*Answers, error) {
	logits, stopped := m.LogitsOf(ds)
	if logits == nil {
		return nil, stopped
	}
	return &Answers{
		Model: m.spec.Name, Classes: slices.Clone(m.spec.Classes), Activation: m.Activation(),
		n: logits.Shape().Dimensions[0], k: m.classes, logits: logits,
	}, stopped
}

// ProbabilitiesOf is [Model.Probabilities] for a dataset.
func (m *Model) ProbabilitiesOf(ds Dataset) (*tensors.Tensor, error) {
	a, stopped := m.said(ds)
	if a == nil {
		return nil, stopped
	}
	probabilities, err := a.Probabilities()
	if err != nil {
		return nil, err
	}
	return probabilities, stopped
}

// FeaturesOf is [Model.Features] for a dataset.
func (m *Model) FeaturesOf(ds Dataset) (*tensors.Tensor, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if m.features == 0 {
		return nil, fmt.Errorf("model: %s names no features: record them with the Builder's Features when you make the model",
			m.spec.Name)
	}
	return m.one("features", featuresKey{}, ds, nil, func(out Outputs) *graph.Node { return out.Features })
}

// ActivationsOf is [Model.Activations] for a dataset.
func (m *Model) ActivationsOf(layer string, ds Dataset) (*tensors.Tensor, error) {
	if err := m.CheckLayer(layer); err != nil {
		return nil, err
	}
	return m.one("activations of "+layer, activationsKey{layer}, ds, nil,
		func(out Outputs) *graph.Node { return out.Activations[layer] })
}

// Maps are what the network says of each place of an image, by name: see [Outputs.Maps].
func (m *Model) Maps() []Layer { return slices.Clone(m.maps) }

// MapsOf returns one of [Model.Maps] for each image of a dataset, [N, H', W', K].
// Interrupted, it returns those of the images that are done beside the error.
func (m *Model) MapsOf(name string, ds Dataset) (*tensors.Tensor, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	var names []string
	for _, l := range m.maps {
		names = append(names, l.Name)
	}
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("model: %s makes no map %q: it makes %q%s", m.spec.Name, name, names,
			nearest.DidYouMean(name, names))
	}
	return m.one("maps "+name, mapKey{name}, ds, nil, func(out Outputs) *graph.Node { return out.Maps[name] })
}

// PredictOf is [Model.Predict] for a dataset.
func (m *Model) PredictOf(ds Dataset) ([]int, error) {
	a, stopped := m.said(ds)
	if a == nil {
		return nil, stopped
	}
	predicted, err := a.Predicted()
	if err != nil {
		return nil, err
	}
	return predicted, stopped
}

// TopKOf is [Model.TopK] for a dataset.
func (m *Model) TopKOf(ds Dataset, k int) ([][]Prediction, error) {
	if err := m.classifier(); err != nil {
		return nil, err
	}
	if k < 1 || k > m.classes {
		return nil, fmt.Errorf("model: top-%d of %d classes: k lies between 1 and %d", k, m.classes, m.classes)
	}
	a, stopped := m.said(ds)
	if a == nil {
		return nil, stopped
	}
	top, err := a.Top(k)
	if err != nil {
		return nil, err
	}
	return top, stopped
}

// Accuracy is the share of a dataset's images whose label the model predicts, with its interval; images without a
// label do not count. How labels meet the model's classes says [Model.LabelsOf]. Interrupted, it is that of the
// images that are done, beside the error.
func (m *Model) Accuracy(ds Labeled) (stats.Accuracy, error) {
	a, stopped := m.Answers(ds)
	if a == nil {
		return stats.Accuracy{}, stopped
	}
	accuracy, err := a.Accuracy()
	if stopped == nil {
		stopped = err
	}
	return accuracy, stopped
}

// checkLogits returns an error where a classifier's outputs are probabilities already, and its spec does not say so:
// their softmax would be other probabilities, all alike.
func (m *Model) checkLogits(outputs *tensors.Tensor) error {
	if m.spec.Activation != AutoActivation || m.classes < 2 || outputs.Rank() != 2 {
		return nil
	}
	probabilities := true
	err := tensors.ConstFlatData(outputs, func(flat []float32) {
		for row := range slices.Chunk(flat, m.classes) {
			var sum float64
			for _, v := range row {
				if !(v >= 0 && v <= 1) {
					probabilities = false
					return
				}
				sum += float64(v)
			}
			probabilities = probabilities && math.Abs(sum-1) <= 1e-4
		}
	})
	if err == nil && probabilities {
		err = fmt.Errorf("the outputs of %s are probabilities already: each image's lie in 0..1 and sum to 1; write "+
			"Activation: model.NoActivation in its Spec, or model.Softmax if they are logits all the same", m.spec.Name)
	}
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// one runs the part of the network that leads to one of its values, and has the first batch of them checked.
func (m *Model) one(what string, key any, ds Dataset, check func(*tensors.Tensor) error,
	pick func(Outputs) *graph.Node) (*tensors.Tensor, error) {
	return only(m.mapOf(what, key, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(pick(m.Call(in[0])), dtypes.Float32)}
	}, ds, check))
}

// MapOf is [Model.Map] for a dataset, whose images are loaded a batch at a time.
func (m *Model) MapOf(what string, key any, fn func(in []*graph.Node) []*graph.Node, ds Dataset,
	more ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	return m.mapOf(what, key, fn, ds, nil, more...)
}

// mapOf is MapOf, and has the first batch of the first result checked.
func (m *Model) mapOf(what string, key any, fn func(in []*graph.Node) []*graph.Node, ds Dataset,
	check func(*tensors.Tensor) error, more ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if err := CheckDataset(ds); err != nil {
		return nil, err
	}
	if b, ok := ds.(batch); ok {
		if err := m.checkImages(b.images, 0); err != nil {
			return nil, err
		}
	}
	n := ds.Len()
	if n == 0 {
		return nil, fmt.Errorf("model: no images: the dataset is empty")
	}
	if err := checkMore(what, n, more); err != nil {
		return nil, err
	}
	return m.run(what, key, fn, n, check, func(lo, hi, size int) ([]any, error) {
		indices := make([]int, hi-lo)
		for i := range indices {
			indices[i] = lo + i
		}
		images, err := ds.Images(indices...)
		if err != nil {
			return nil, err
		}
		if _, checked := ds.(batch); !checked {
			if err := m.checkImages(images, lo); err != nil {
				return nil, err
			}
		}
		part, err := rows.Take(images, 0, hi-lo, size)
		args := []any{part}
		for _, t := range more {
			if err == nil {
				part, err = rows.Take(t, lo, hi, size)
			}
			args = append(args, part)
		}
		return args, err
	})
}

// checkMore returns an error unless each input has a row for each of n images.
func checkMore(what string, n int, more []*tensors.Tensor) error {
	for _, t := range more {
		if t == nil {
			return fmt.Errorf("model: %s: an input is nil", what)
		}
		if t.Rank() == 0 || t.Shape().Dimensions[0] != n {
			return fmt.Errorf("model: %s: an input of shape %s for %d images", what, t.Shape(), n)
		}
	}
	return nil
}
