// Package arrays lets package carry take tensors and datasets along.
package arrays

import (
	"encoding/gob"
	"fmt"
	"io"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/carry"
	"github.com/loupeml/loupe/lib/data"
)

// Type is what has to be imported for a tensor or a dataset to be read.
type Type struct{}

func init() {
	carry.Register(carry.Codec{
		Type: "*tensors.Tensor", Imports: []string{"github.com/gomlx/gomlx/core/tensors",
			"github.com/loupeml/loupe/lib/carry/arrays"},
		Is: func(v any) bool { t, ok := v.(*tensors.Tensor); return ok && t != nil },
		Save: func(w io.Writer, v any) error {
			return v.(*tensors.Tensor).GobSerialize(gob.NewEncoder(w))
		},
		Load: func(r io.Reader) (any, error) { return tensors.GobDeserialize(gob.NewDecoder(r)) },
	})
	carry.Register(carry.Codec{
		Type: "*data.Dataset", Imports: []string{"github.com/loupeml/loupe/lib/data",
			"github.com/loupeml/loupe/lib/carry/arrays"},
		Is:   func(v any) bool { d, ok := v.(*data.Dataset); return ok && d != nil },
		Save: saveDataset,
		Load: loadDataset,
	})
}

// labelled is what a dataset has besides its images.
type labelled struct {
	Labels  []int
	Classes []string
}

func saveDataset(w io.Writer, v any) error {
	d := v.(*data.Dataset)
	images, err := d.All()
	if err != nil {
		return fmt.Errorf("a dataset is carried as one tensor: %w", err)
	}
	e := gob.NewEncoder(w)
	if err := e.Encode(labelled{d.Labels(), d.Classes()}); err != nil {
		return err
	}
	return images.GobSerialize(e)
}

func loadDataset(r io.Reader) (any, error) {
	d := gob.NewDecoder(r)
	var l labelled
	if err := d.Decode(&l); err != nil {
		return nil, err
	}
	images, err := tensors.GobDeserialize(d)
	if err != nil {
		return nil, err
	}
	return data.FromTensor(images, l.Labels, l.Classes)
}
