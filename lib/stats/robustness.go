package stats

// EffectiveRobustness is by how much a model's accuracy under a shift is above what is expected of a model of its
// accuracy, in percentage points:
//
//	ρ = 100 (y - β(x))
//
// The fit β is one of models without any intervention. Taori et al., NeurIPS 2020, section 3.
func EffectiveRobustness(fit AccuracyFit, p AccuracyPair) float64 {
	return 100 * (p.Y - fit.Predict(p.X))
}

// RelativeRobustness is what an intervention adds to a model's accuracy under a shift, in percentage points:
//
//	τ = 100 (with - without)
//
// of accuracies in 0..1 under the shift. An intervention is of use when both its effective and its relative robustness
// are above 0: Taori et al., NeurIPS 2020, section 3.
func RelativeRobustness(with, without float64) float64 { return 100 * (with - without) }
