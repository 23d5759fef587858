package spurious

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Score says how well the probability of a class tells its images from images that have the class's spurious feature
// and not the class.
type Score struct {
	// AUC is the area under the ROC curve, by which the paper's text and tables go; 1 is a model that the feature does
	// not deceive.
	AUC float64 `display:"AUC"`
	// AP is the average precision, which the authors' code computes.
	AP float64 `display:"average precision"`
}

// SpuriousScore scores a model for a class by images of the class (all, whether recognised or not) and images with the
// spurious feature only. Neuhaus et al., section 6.
func SpuriousScore(m *model.Model, class int, ofClass, spurious model.Dataset) (Score, error) {
	positive, err := probability(m, class, ofClass)
	if err != nil {
		return Score{}, err
	}
	negative, err := probability(m, class, spurious)
	if err != nil {
		return Score{}, err
	}
	var s Score
	if s.AUC, err = stats.AUROC(positive, negative); err != nil {
		return s, err
	}
	s.AP, err = stats.AveragePrecision(positive, negative)
	return s, err
}

// probability is that of a class for each image.
func probability(m *model.Model, class int, ds model.Dataset) ([]float64, error) {
	if class < 0 || class >= m.NumClasses() {
		return nil, fmt.Errorf("spurious: class %d does not exist: %s has the classes 0 to %d", class, m.Name(),
			m.NumClasses()-1)
	}
	p, err := m.ProbabilitiesOf(ds)
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](p)
	if err != nil {
		return nil, fmt.Errorf("spurious: %w", err)
	}
	var out []float64
	for i := class; i < len(flat); i += m.NumClasses() {
		out = append(out, float64(flat[i]))
	}
	return out, nil
}
