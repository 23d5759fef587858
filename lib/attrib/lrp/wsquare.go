package lrp

import "github.com/gomlx/gomlx/core/graph"

// WSquare shares relevance out by the squares of the weights, whatever the inputs are:
//
//	R_i = Σ_j w_ij² / (Σ_k w_kj² + b_j²) · R_j
//
// It is meant for a first layer whose inputs have no bounds. Montavon et al., Pattern Recognition 65 (2017), section
// 4.2.
type WSquare struct {
	// Stabilizer keeps the denominator from zero; 0 means 1e-6.
	Stabilizer float64
}

// Propagate implements [Rule].
func (w WSquare) Propagate(l *Layer, relevance *graph.Node) *graph.Node {
	return weightsOnly(l, relevance, w.Stabilizer, graph.Square, optional(graph.Square, l.Bias()))
}
