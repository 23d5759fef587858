package selfsup

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// Sinkhorn shares samples out among prototypes, so that each prototype gets about as much as every other: from scores,
// [N, K], the codes, [N, K], whose rows sum to 1. It is the Sinkhorn-Knopp algorithm on exp(scores/epsilon), prototypes
// first, then samples, as often as iterations says; done on logarithms, so that no epsilon overflows. Caron et al.,
// "Unsupervised learning of visual features by contrasting cluster assignments", NeurIPS 2020, section 3.1, with the
// order of facebookresearch/swav. No gradient goes through it.
//
// there, unless nil, is [N] bool: samples for which it is false do not count, and their codes are 0.
func Sinkhorn(scores, there *graph.Node, epsilon float64, iterations int) *graph.Node {
	if scores.Rank() != 2 || !(epsilon > 0) || iterations < 1 {
		panic(fmt.Errorf(
			"selfsup: Sinkhorn shares scores [N, K] out with a positive epsilon in one or more iterations, not %s with %v in %d",
			scores.Shape(), epsilon, iterations))
	}
	d := scores.Shape().Dimensions
	logs := graph.DivScalar(graph.StopGradient(scores), epsilon)
	masked := func(x *graph.Node) *graph.Node { return x }
	if there != nil {
		is := graph.BroadcastToDims(graph.ExpandAxes(there, -1), d...)
		masked = func(x *graph.Node) *graph.Node { return graph.Where(is, x, graph.Scalar(x.Graph(), x.DType(), -1e30)) }
	}
	for range iterations {
		logs = masked(logs)
		logs = masked(graph.Sub(logs, logSumExp(logs, 0)))
		logs = graph.Sub(logs, logSumExp(logs, 1))
	}
	return graph.Exp(masked(logs))
}

// logSumExp is that over an axis, which is kept.
func logSumExp(x *graph.Node, axis int) *graph.Node {
	most := graph.ReduceAndKeep(x, graph.ReduceMax, axis)
	return graph.Add(graph.Log(graph.ReduceAndKeep(graph.Exp(graph.Sub(x, most)), graph.ReduceSum, axis)), most)
}

// Swapped is SwAV's loss of each image, [N]: each of the large views has the others, large and small, predict its
// codes,
//
//	-Σ_k code_k log softmax(scores/temperature)_k
//
// of which the mean over the pairs is taken. large and small are scores with the prototypes, [N, K] for each view;
// codes are those of the large ones, from [Sinkhorn]. Caron et al., equation 2, and with small views section 3.2.
func Swapped(large, small, codes []*graph.Node, temperature float64) *graph.Node {
	views := append(append([]*graph.Node{}, large...), small...)
	if len(large) == 0 || len(codes) != len(large) || len(views) < 2 {
		panic(fmt.Errorf("selfsup: SwAV swaps the codes of %d large views, and there are %d codes and %d views in all",
			len(large), len(codes), len(views)))
	}
	var sum *graph.Node
	for i, code := range codes {
		code = graph.StopGradient(code)
		for v, scores := range views {
			if v == i {
				continue
			}
			one := graph.Neg(graph.ReduceSum(graph.Mul(code, graph.LogSoftmax(graph.DivScalar(scores, temperature))), -1))
			if sum == nil {
				sum = one
			} else {
				sum = graph.Add(sum, one)
			}
		}
	}
	return graph.DivScalar(sum, float64(len(large)*(len(views)-1)))
}
