package model

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// finite refuses weights of a file that are no numbers: one NaN makes all answers NaN. An ONNX file may have
// infinities, as in masks of attention; a network's own weights may not.
func (m *Model) finite() error {
	for _, name := range slices.Sorted(maps.Keys(m.weights)) {
		t := m.weights[name]
		if !t.DType().IsFloat() {
			continue
		}
		nan, inf := 0, 0
		count := func(v float64) {
			if math.IsNaN(v) {
				nan++
			} else if math.IsInf(v, 0) {
				inf++
			}
		}
		err := t.ConstFlatData(func(flat any) {
			switch flat := flat.(type) {
			case []float32:
				for _, v := range flat {
					if v-v != 0 { // no finite number
						count(float64(v))
					}
				}
			case []float64:
				for _, v := range flat {
					if v-v != 0 {
						count(v)
					}
				}
			}
		})
		if err != nil {
			return fmt.Errorf("model: %w", err)
		}
		if nan > 0 || inf > 0 && m.architecture.file == "" {
			return fmt.Errorf("model: the weight %s of %s has %d NaN and %d infinite values of %d: its training has failed, "+
				"or the file is damaged", name, m.Name(), nan, inf, t.Size())
		}
	}
	return nil
}

// loaded is a model of a file: of images that can be, and of weights that are numbers.
func loaded(m *Model, err error) (*Model, error) {
	if err != nil || m == nil {
		return nil, err
	}
	if err := m.spec.imaginable(); err != nil {
		return nil, fmt.Errorf("model: %s %w", m.Name(), err)
	}
	if err := m.finite(); err != nil {
		return nil, err
	}
	return m, nil
}
