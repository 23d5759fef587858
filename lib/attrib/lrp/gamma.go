package lrp

import "github.com/gomlx/gomlx/core/graph"

// Gamma gives what adds to the output (1 + γ) times its weight:
//
//	R_i = Σ_j x_i·(w_ij + γ·w_ij⁺) / Σ_k x_k·(w_kj + γ·w_kj⁺) · R_j
//
// for inputs that are not negative: Montavon et al., "Layer-Wise Relevance Propagation: An Overview" (2019), section
// 10.2.3. In general, outputs that are positive favour what is positive, and outputs that are negative what is
// negative; outputs of 0 pass nothing on: Andéol et al., "Learning domain invariant representations by joint
// Wasserstein distance minimization", Neural Networks 167 (2023), appendix.
type Gamma struct {
	// Gamma is γ; 0 means 0.25.
	Gamma float64
	// Stabilizer keeps the denominators from zero; 0 means 1e-6.
	Stabilizer float64
}

// Propagate implements [Rule].
func (g Gamma) Propagate(l *Layer, relevance *graph.Node) *graph.Node {
	gamma := g.Gamma
	if gamma == 0 {
		gamma = 0.25
	}
	more := func(part func(*graph.Node) *graph.Node) func(*graph.Node) *graph.Node {
		return func(w *graph.Node) *graph.Node { return graph.Add(w, graph.MulScalar(part(w), gamma)) }
	}
	zero := graph.ZerosLike(relevance)
	side := func(of *graph.Node, part, other func(*graph.Node) *graph.Node) *graph.Node {
		z, parts := l.signed(more(part), more(other), optional(more(part), l.Bias()))
		return Contributions(z, graph.Where(of, share(relevance, z, g.Stabilizer), zero), parts...)
	}
	return graph.Add(
		side(graph.GreaterThan(l.Output(), zero), positive, negative),
		side(graph.LessThan(l.Output(), zero), negative, positive))
}
