package learn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// Loss is what a [Step] says of its batch.
type Loss struct {
	// Each is the loss of each example, [B], or of each of its views, [B·V]: the loss of an example is then the mean over
	// its views. What is learnt from is the mean over the examples.
	Each *graph.Node
	// Plus is added to the mean, a scalar: what belongs to no example, such as a distance of weights. Nil is none.
	Plus *graph.Node
	// Metrics are numbers to keep in the history beside the loss, such as whether the answer is right: [B], [B·V] or
	// scalars, of which the mean over the examples is kept. No gradient comes of them.
	Metrics map[string]*graph.Node
}

// CrossEntropy is the cross entropy of logits, [B, K], and labels, [B] int32, of each example, [B]; 0 where the label
// is negative, unknown. [Step.CrossEntropy] is the same with labels that are checked.
func CrossEntropy(logits, labels *graph.Node) *graph.Node {
	if logits.Rank() != 2 || labels.Rank() != 1 || !labels.DType().IsInt() ||
		labels.Shape().Dimensions[0] != logits.Shape().Dimensions[0] {
		panic(fmt.Errorf("learn: the cross entropy is that of logits [B, K] and labels [B], not of %s and %s", logits.Shape(),
			labels.Shape()))
	}
	hot := graph.OneHot(labels, logits.Shape().Dimensions[1], logits.DType())
	return graph.Neg(graph.ReduceSum(graph.Mul(hot, graph.LogSoftmax(logits)), -1))
}

// Correct is 1 for each example whose largest logit, [B, K], is that of its label, [B] int32, and 0 else, [B] float32.
// It is what accuracy is the mean of.
func Correct(logits, labels *graph.Node) *graph.Node {
	best := graph.ArgMax(logits, -1, labels.DType())
	return graph.ConvertDType(graph.Equal(best, labels), logits.DType())
}

// LabelSmoothing is [CrossEntropy] with labels of which share is spread over all K classes alike: (1-share)[k = y] +
// share/K. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7.
func LabelSmoothing(logits, labels *graph.Node, share float64) *graph.Node {
	right := CrossEntropy(logits, labels)
	if share == 0 {
		return right
	}
	alike := graph.Neg(graph.ReduceMean(graph.LogSoftmax(logits), -1))
	return graph.Add(graph.MulScalar(right, 1-share), graph.MulScalar(alike, share))
}
