package model

import (
	"errors"
	"fmt"

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

// there returns an error for answers that are nil.
func (a *Answers) there() error {
	if a == nil {
		return errors.New("model: there are no answers: the argument is nil")
	}
	return nil
}

// Check returns an error for a head that is nil or has no weights.
func (h *Head) Check() error {
	if h == nil || h.Weights == nil || h.Weights.IsEmpty() {
		return errors.New("model: there is no last layer: the head is nil or empty")
	}
	if k, _ := h.Weights.Dims(); len(h.Bias) != k {
		return fmt.Errorf("model: the head has weights for %d classes and a bias for %d", k, len(h.Bias))
	}
	return nil
}
