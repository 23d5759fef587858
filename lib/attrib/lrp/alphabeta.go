package lrp

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// AlphaBeta treats what adds to the output and what takes from it apart, and gives them α and -β of the relevance:
//
//	R_i = Σ_j (α·(x_i·w_ij)⁺ / z_j⁺ - β·(x_i·w_ij)⁻ / z_j⁻) · R_j,   α - β = 1
//
// Bach et al., PLoS ONE 10 (2015), equation 60. The zero value is α = 2, β = 1.
type AlphaBeta struct {
	Alpha, Beta float64
	// Stabilizer keeps the sums z⁺ and z⁻ from zero; 0 means 1e-6.
	Stabilizer float64
}

func (ab AlphaBeta) check() error {
	if a, b := ab.values(); a-b != 1 || b < 0 {
		return fmt.Errorf("lrp: AlphaBeta takes an alpha that is 1 more than beta, and a beta of 0 or more, not %g and %g", a,
			b)
	}
	return nil
}

func (ab AlphaBeta) values() (alpha, beta float64) {
	if ab.Alpha == 0 && ab.Beta == 0 {
		return 2, 1
	}
	return ab.Alpha, ab.Beta
}

// Propagate implements [Rule].
func (ab AlphaBeta) Propagate(l *Layer, relevance *graph.Node) *graph.Node {
	alpha, beta := ab.values()
	z, parts := l.signed(positive, negative, optional(positive, l.Bias()))
	r := Contributions(z, share(relevance, z, ab.Stabilizer), parts...)
	if alpha != 1 {
		r = graph.MulScalar(r, alpha)
	}
	if beta == 0 {
		return r
	}
	z, parts = l.signed(negative, positive, optional(negative, l.Bias()))
	against := Contributions(z, share(relevance, z, ab.Stabilizer), parts...)
	return graph.Sub(r, graph.MulScalar(against, beta))
}
