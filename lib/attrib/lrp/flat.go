package lrp

import "github.com/gomlx/gomlx/core/graph"

// Flat shares the relevance of an output out evenly among the inputs that it sees, whatever their values:
//
//	R_i = Σ_j 1 / (Σ_k 1) · R_j
//
// It is meant for the first layer. Lapuschkin et al., "Unmasking Clever Hans predictors and assessing what machines
// really learn", Nature Communications 10 (2019), supplementary note 3.
type Flat struct {
	// Stabilizer keeps the denominator from zero; 0 means 1e-6.
	Stabilizer float64
}

// Propagate implements [Rule].
func (f Flat) Propagate(l *Layer, relevance *graph.Node) *graph.Node {
	return weightsOnly(l, relevance, f.Stabilizer, graph.OnesLike, nil)
}

// weightsOnly shares relevance out by the weights alone.
func weightsOnly(l *Layer, relevance *graph.Node, stabilizer float64, weight func(*graph.Node) *graph.Node,
	bias *graph.Node) *graph.Node {
	ones := graph.OnesLike(l.In)
	z := plus(l.Apply(ones, weight), bias)
	return Pull(z, share(relevance, z, stabilizer), ones)[0]
}
