package model

import (
	"errors"

	"github.com/loupeml/loupe/lib/table"
)

// errNoModel is what a nil stands for in the place of a model.
var errNoModel = errors.New("model: there is no model: the argument is nil")

// there returns an error for a model that is nil.
func (m *Model) there() error {
	if m == nil {
		return errNoModel
	}
	return nil
}

// mustBeThere panics with an error that names what is missing, for methods that return none.
func (m *Model) mustBeThere() {
	if m == nil {
		panic(errNoModel)
	}
}

// CheckDataset returns an error for a dataset that is nil.
func CheckDataset(ds Dataset) error {
	if table.IsNil(ds) {
		return errors.New("model: there is no dataset: the argument is nil")
	}
	return nil
}
