package learn

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

const floatType = dtypes.Float32

// Gradient is how the losses of the examples become the gradient that a step goes along: [Mean], which nil is, or [DP].
type Gradient interface {
	// Check tells what is wrong with the settings.
	Check() error
	// Examples is how many examples go through the device at once; 0 means all of a step.
	Examples() int
	// Of builds what the examples of one call of the device contribute, for each of the weights. The contributions to
	// a step are added.
	Of(part Part) []*graph.Node
	// Finish makes of a step's sum the gradient. normal draws standard normal numbers.
	Finish(sums []*graph.Node, size float64, normal func(shape shapes.Shape) *graph.Node) []*graph.Node
}

// Part is the examples of a step that go through the device at once, all of them or a microbatch.
type Part struct {
	// Each is the loss of each example, [B], the mean over its views; 0 for padding.
	Each *graph.Node
	// Views are how many rows of the network's batch belong to an example.
	Views int
	// Mask is 1 for an example and 0 for padding, [B] float32; nil where there is no padding.
	Mask *graph.Node
	// Rows are what the network's batch comes from, [B·Views, ...]: the columns after augmentation.
	Rows []*graph.Node
	// Plus is what is added to the mean loss, a scalar; nil is nothing.
	Plus *graph.Node
	// Weights are those that are trained, and Names what they are called.
	Weights []*graph.Node
	Names   []string
	// Size is how many examples a step has, in the mean.
	Size float64
	// BatchStatistics names a batch normalisation that takes the statistics of the batch; "" where there is none.
	BatchStatistics string
}

// Count is how many examples the part has, a float32 scalar.
func (p Part) Count() *graph.Node {
	if p.Mask != nil {
		return graph.ReduceAllSum(p.Mask)
	}
	return graph.Scalar(p.Each.Graph(), floatType, p.Each.Shape().Dimensions[0])
}

// Mean is the gradient of the mean loss.
type Mean struct {
	// Microbatch is how many examples go through the device at once, for batches that memory does not hold; 0 means
	// all. The gradient is the same but for rounding; batch normalisation takes the statistics of each microbatch.
	Microbatch int
}

// Check implements [Gradient].
func (m Mean) Check() error {
	if m.Microbatch < 0 {
		return fmt.Errorf("learn: microbatches of %d examples: take at least one, or 0 for all at once", m.Microbatch)
	}
	return nil
}

// Examples implements [Gradient].
func (m Mean) Examples() int { return m.Microbatch }

// Of implements [Gradient].
func (m Mean) Of(p Part) []*graph.Node {
	if len(p.Weights) == 0 {
		return nil
	}
	loss := graph.DivScalar(graph.ReduceAllSum(p.Each), p.Size)
	if p.Plus != nil {
		loss = graph.Add(loss, graph.Mul(p.Plus, graph.DivScalar(p.Count(), p.Size)))
	}
	return graph.Gradient(loss, p.Weights...)
}

// Finish implements [Gradient].
func (m Mean) Finish(sums []*graph.Node, _ float64, _ func(shape shapes.Shape) *graph.Node) []*graph.Node {
	return sums
}
