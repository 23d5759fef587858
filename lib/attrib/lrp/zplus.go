package lrp

import "github.com/gomlx/gomlx/core/graph"

// ZPlus shares relevance out among what adds to the output only: [AlphaBeta] with α = 1 and β = 0. Inputs may be
// negative.
//
//	R_i = Σ_j (x_i·w_ij)⁺ / z_j⁺ · R_j
//
// Montavon et al., "Explaining nonlinear classification decisions with deep Taylor decomposition", Pattern
// Recognition 65 (2017), section 4.1.
type ZPlus struct {
	// Stabilizer keeps z⁺ from zero; 0 means 1e-6.
	Stabilizer float64
}

// Propagate implements [Rule].
func (p ZPlus) Propagate(l *Layer, relevance *graph.Node) *graph.Node {
	return AlphaBeta{Alpha: 1, Stabilizer: p.Stabilizer}.Propagate(l, relevance)
}
