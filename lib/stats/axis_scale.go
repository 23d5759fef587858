package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// AxisScale is how the axes of a plot of accuracies are stretched. On the scales of probits and logits the accuracies
// of many models on two test sets lie on a straight line where plain accuracies bend towards 0 and 1: Recht et al.,
// ICML 2019, section 4.1; Taori et al., NeurIPS 2020, section 3.
type AxisScale int

const (
	Linear AxisScale = iota // the accuracy itself
	Probit                  // Φ⁻¹(accuracy), the standard normal's quantile
	Logit                   // ln(accuracy / (1 - accuracy))
)

func (s AxisScale) String() string {
	switch s {
	case Linear:
		return "linear"
	case Probit:
		return "probit"
	case Logit:
		return "logit"
	}
	return fmt.Sprintf("AxisScale(%d)", int(s))
}

// Of is where an accuracy in 0..1 lies on the scale. 0 and 1 are infinitely far out on the scales of probits and
// logits; what is no accuracy is NaN there.
func (s AxisScale) Of(accuracy float64) float64 {
	switch s {
	case Probit:
		if !(accuracy >= 0 && accuracy <= 1) {
			return math.NaN()
		}
		return distuv.UnitNormal.Quantile(accuracy)
	case Logit:
		return math.Log(accuracy / (1 - accuracy))
	}
	return accuracy
}

// Accuracy is the accuracy that lies at a place of the scale: the inverse of Of. On the linear scale it may lie outside
// of 0..1.
func (s AxisScale) Accuracy(place float64) float64 {
	switch s {
	case Probit:
		return distuv.UnitNormal.CDF(place)
	case Logit:
		return 1 / (1 + math.Exp(-place))
	}
	return place
}

func (s AxisScale) check() error {
	if s < Linear || s > Logit {
		return fmt.Errorf("stats: there is no axis scale %d: they are Linear, Probit and Logit", int(s))
	}
	return nil
}
