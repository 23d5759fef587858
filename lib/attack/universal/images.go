package universal

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// images are a dataset's as a model takes them: a perturbation of one size is added to all of them.
type images struct {
	ds    model.Dataset
	shape [3]int // H, W, C
	model string
}

// imagesFor checks what can be checked before images are read.
func imagesFor(m *model.Model, ds model.Dataset) (*images, error) {
	if m == nil {
		return nil, errors.New("universal: there is no model: the argument is nil")
	}
	if err := model.CheckDataset(ds); err != nil {
		return nil, err
	}
	if m.NumClasses() < 2 {
		return nil, fmt.Errorf("universal: %s tells no classes apart, so that there is none to lead to", m.Name())
	}
	if ds.Len() == 0 {
		return nil, errors.New("universal: no images: the dataset is empty")
	}
	spec := m.Spec()
	return &images{ds, [3]int{spec.Height, spec.Width, spec.Channels}, m.Name()}, nil
}

// read returns the images with these numbers, which are all in 0..1.
func (i *images) read(numbers ...int) (*tensors.Tensor, error) {
	t, err := i.ds.Images(numbers...)
	if err != nil {
		return nil, err
	}
	if want := shapes.Make(dtypes.Float32, len(numbers), i.shape[0], i.shape[1], i.shape[2]); t == nil ||
		!t.Shape().Equal(want) {
		shape := "nil"
		if t != nil {
			shape = t.Shape().String()
		}
		return nil, fmt.Errorf("universal: %s takes images %s, and the dataset gives %s: see the model's Prepare", i.model,
			want, shape)
	}
	var bad error
	if err := tensors.ConstFlatData(t, func(flat []float32) {
		for k, v := range flat {
			if !(v >= 0 && v <= 1) { // NaN as well
				bad = fmt.Errorf("universal: image %d has the value %g: images are in 0..1", numbers[k*len(numbers)/len(flat)], v)
				return
			}
		}
	}); err != nil {
		return nil, fmt.Errorf("universal: %w", err)
	}
	return t, bad
}

// between are the images with the numbers from lo to hi (excluded).
func (i *images) between(lo, hi int) (*tensors.Tensor, error) {
	numbers := make([]int, hi-lo)
	for k := range numbers {
		numbers[k] = lo + k
	}
	return i.read(numbers...)
}

// source is what a run learns from: the images on the device if they are few, and else read as they are needed.
func (i *images) source() (learn.Source, error) {
	if 4*i.ds.Len()*i.shape[0]*i.shape[1]*i.shape[2] > inMemory {
		return i, nil
	}
	all, err := i.between(0, i.ds.Len())
	if err != nil {
		return nil, err
	}
	return learn.FromTensors(all, nil)
}

// Len implements learn.Source.
func (i *images) Len() int { return i.ds.Len() }

// Columns implements learn.Source.
func (i *images) Columns() []learn.Column {
	return []learn.Column{{Name: learn.Images, Shape: shapes.Make(dtypes.Float32, i.shape[0], i.shape[1], i.shape[2])}}
}

// Read implements learn.Source.
func (i *images) Read(numbers []int, _ int) ([]*tensors.Tensor, error) {
	t, err := i.read(numbers...)
	if err != nil {
		return nil, err
	}
	return []*tensors.Tensor{t}, nil
}
