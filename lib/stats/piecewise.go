package stats

import (
	"fmt"
	"slices"
)

// PiecewiseLine is two lines of accuracies that part at a pivot. A test set that was collected against one model, as
// ImageNet-A was against a ResNet-50 (whose accuracy on it is 0), bends the relation at that model: Taori et al.,
// NeurIPS 2020, section 4.2 and appendix.
type PiecewiseLine struct {
	Pivot        float64 // an x accuracy, in 0..1
	Below, Above *FitLine
	Excluded     []ExcludedModel // those at the pivot, and those that either line leaves out
}

// FitPiecewise fits a line to the models with an x accuracy below the pivot and another to those above. Models right at
// the pivot are in neither. This is the rule of the authors' plotting/plotter.py and paper_imagenet_a.py. It takes
// three models or more on either side.
func FitPiecewise(scale AxisScale, pairs []AccuracyPair, pivot float64) (*PiecewiseLine, error) {
	f := &PiecewiseLine{Pivot: pivot}
	var below, above []AccuracyPair
	for _, p := range pairs {
		switch {
		case p.X < pivot:
			below = append(below, p)
		case p.X > pivot:
			above = append(above, p)
		default:
			f.Excluded = append(f.Excluded, ExcludedModel{p.Model, fmt.Sprintf("its x accuracy is the pivot, %g", pivot)})
		}
	}
	var err error
	if f.Below, err = FitAccuracies(scale, below); err != nil {
		return nil, fmt.Errorf("%w; these are the models below the pivot %g", err, pivot)
	}
	if f.Above, err = FitAccuracies(scale, above); err != nil {
		return nil, fmt.Errorf("%w; these are the models above the pivot %g", err, pivot)
	}
	f.Excluded = slices.Concat(f.Excluded, f.Below.Excluded, f.Above.Excluded)
	return f, nil
}

// ZeroPivot is the x accuracy of the first model whose y accuracy is 0, at which the authors part a fit
// (plotting/paper_appendix_gen_eff_robust_corr_table.py); false where there is none.
func ZeroPivot(pairs []AccuracyPair) (pivot float64, ok bool) {
	for _, p := range pairs {
		if p.Y == 0 {
			return p.X, true
		}
	}
	return 0, false
}

// Predict is the lower line's accuracy up to the pivot, the upper one's beyond.
func (f *PiecewiseLine) Predict(x float64) float64 { return f.at(x).Predict(x) }

// Band is that of either line on its side.
func (f *PiecewiseLine) Band(xs []float64, draws int, alpha float64, seed uint64) ([]Interval, error) {
	below, err := f.Below.Band(xs, draws, alpha, seed)
	if err != nil {
		return nil, err
	}
	above, err := f.Above.Band(xs, draws, alpha, seed)
	if err != nil {
		return nil, err
	}
	for i, x := range xs {
		if f.at(x) == f.Above {
			below[i] = above[i]
		}
	}
	return below, nil
}

// Axes is the lines' scale.
func (f *PiecewiseLine) Axes() AxisScale { return f.Below.Scale }

// LeftOut is Excluded.
func (f *PiecewiseLine) LeftOut() []ExcludedModel { return f.Excluded }

func (f *PiecewiseLine) at(x float64) *FitLine {
	if x > f.Pivot {
		return f.Above
	}
	return f.Below
}
