package learn

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/train/loss"
)

// smoothed is the mean cross entropy with labels of which share is spread over all K classes alike: (1-share)[k = y] +
// share/K. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7.
func smoothed(share float64) loss.LossFn {
	if share == 0 {
		return loss.SparseCategoricalCrossEntropyLogits
	}
	return func(labels, logits []*graph.Node) *graph.Node {
		right := loss.SparseCategoricalCrossEntropyLogits(labels, logits)
		alike := graph.Neg(graph.ReduceAllMean(graph.LogSoftmax(logits[0])))
		return graph.Add(graph.MulScalar(right, 1-share), graph.MulScalar(alike, share))
	}
}
