package uncertainty

import (
	"fmt"

	"github.com/loupeml/loupe/lib/model"
)

// TemperatureScaled returns the same model at the temperature that fits held best, a labelled dataset that the model
// was not trained on: [FitTemperature] and [WithTemperature].
func TemperatureScaled(m *model.Model, held model.Labeled) (*model.Model, error) {
	if m == nil {
		return nil, fmt.Errorf("uncertainty: no model to scale: it is nil")
	}
	labels, err := m.KnownLabelsOf(held)
	if err != nil {
		return nil, err
	}
	if err := m.NeedsSoftmax("uncertainty: a temperature"); err != nil {
		return nil, err
	}
	logits, err := m.LogitsOf(held)
	if err != nil {
		return nil, err
	}
	temperature, err := FitTemperature(logits, labels)
	if err != nil {
		return nil, err
	}
	return WithTemperature(m, temperature)
}
