// Package selfsup trains networks on images without labels, by bringing views of one image together: MoCo v2, BYOL and
// SwAV. Each is settings whose Of makes a [learn.Run] of a backbone, and losses that stand alone as graph functions.
//
//	run, err := selfsup.DefaultMoCo.Of(learn.Run{
//		Nets: map[string]*model.Model{selfsup.Backbone: m}, Data: images, Sampler: learn.Shuffled(256), Epochs: 200,
//		Augment:   []learn.Augmentation{learn.ResizedCrop{}, learn.Flip{}},
//		Optimizer: learn.SGD{LearningRate: 0.03, Momentum: 0.9, WeightDecay: 1e-4}, Schedule: learn.Cosine,
//	})
//	trained, err := run.Do()
//
// It is made for Ryali, Schwab and Morcos, "Characterizing and Improving the Robustness of Self-Supervised Learning
// through Background Augmentations", arXiv 2103.12719, whose augmentations are in package background.
package selfsup

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/graphops"
)

// Contrast are the logits of which of the keys is the query's own, [N, 1+K]: cosine similarities divided by the
// temperature, first that with its own key, and then those with the queue's. query and key are [N, D], queue is [K, D];
// their rows need not be of length 1. He et al., "Momentum contrast", CVPR 2020, equation 1.
//
// matched, unless nil, is one more negative for each query alone, [N, D], whose logits come last, [N, 2+K]; where
// there, [N] bool and nil for everywhere, is false there is none: its logit is -1e9.
func Contrast(query, key, queue, matched, there *graph.Node, temperature float64) *graph.Node {
	query = graphops.Unit(query)
	own := func(key *graph.Node) *graph.Node {
		return graph.ReduceAndKeep(graph.Mul(query, graphops.Unit(key)), graph.ReduceSum, -1)
	}
	logits := []*graph.Node{own(key), graph.Einsum("nd,kd->nk", query, graphops.Unit(queue))}
	if matched != nil {
		logits = append(logits, own(matched))
	}
	all := graph.DivScalar(graph.Concatenate(logits, -1), temperature)
	if matched == nil || there == nil {
		return all
	}
	d := all.Shape().Dimensions
	last := graph.Iota(all.Graph(), all.Shape(), 1)
	last = graph.Equal(last, graph.Scalar(all.Graph(), all.DType(), d[1]-1))
	absent := graph.BroadcastToDims(graph.ExpandAxes(graph.LogicalNot(there), -1), d...)
	return graph.Where(graph.LogicalAnd(last, absent), graph.Scalar(all.Graph(), all.DType(), -1e9), all)
}

// InfoNCE is the loss of each query, [N], in nats: minus the logarithm of the softmax at its own key, the first of
// [Contrast]'s logits.
func InfoNCE(logits *graph.Node) *graph.Node {
	first := graph.Slice(graph.LogSoftmax(logits), graph.AxisRange(), graph.AxisElem(0))
	return graph.Neg(graph.Squeeze(first, -1))
}

// nearest is 1 for each query whose own key is the most similar of all.
func nearest(logits *graph.Node) *graph.Node {
	best := graph.ArgMax(logits, -1, dtypes.Int32)
	return graph.ConvertDType(graph.Equal(best, graph.ZerosLike(best)), logits.DType())
}

// NegativeCosine is minus the cosine of the angle between rows of x and y, [N, D] both, of each, [N]. BYOL's loss of
// one view that predicts another is 2 + 2·NegativeCosine, the squared distance of unit vectors: Grill et al.,
// "Bootstrap your own latent", NeurIPS 2020, equation 2.
func NegativeCosine(x, y *graph.Node) *graph.Node {
	if !x.Shape().Equal(y.Shape()) {
		panic(fmt.Errorf("selfsup: the cosine of %s and %s: both are [N, D]", x.Shape(), y.Shape()))
	}
	return graph.Neg(graph.ReduceSum(graph.Mul(graphops.Unit(x), graphops.Unit(y)), -1))
}
