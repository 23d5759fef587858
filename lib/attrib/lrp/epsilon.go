package lrp

import "github.com/gomlx/gomlx/core/graph"

// Epsilon shares relevance out by what each input adds to the output:
//
//	R_i = Σ_j x_i·w_ij / (z_j + ε·sign z_j) · R_j,   z = W·x + b
//
// Bach et al., "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance
// Propagation", PLoS ONE 10 (2015), equation 58. With an ε near 0 it is LRP-0.
type Epsilon struct {
	// Epsilon is ε, in units of the output; 0 means 1e-6.
	Epsilon float64
}

// Propagate implements [Rule].
func (e Epsilon) Propagate(l *Layer, relevance *graph.Node) *graph.Node {
	z := l.Output()
	return Contributions(z, share(relevance, z, e.Epsilon), l.In)
}
