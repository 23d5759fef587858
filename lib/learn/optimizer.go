package learn

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// Optimizer is how a [Run] turns gradients into steps: [SGD], [Adam], [AdamW], [LARS], [LAMB].
type Optimizer interface {
	// Check tells what is wrong with the settings.
	Check() error
	// Rate is the learning rate, which the run's Schedule multiplies.
	Rate() float64
	// Slots names what it keeps of every weight: a tensor of the weight's shape each, which begins at 0.
	Slots() []string
	// Update builds the step of one weight: its next value and its next slots, in the order of Slots.
	Update(w Weight) (next *graph.Node, slots []*graph.Node)
}

// Weight is a weight that is trained, in the graph of a step.
type Weight struct {
	// Name is the weight's in its network, or that of a parameter of the step.
	Name string
	// Value is the weight before the step, Gradient the mean gradient, Slots what the optimizer kept: all of one shape.
	Value, Gradient *graph.Node
	Slots           []*graph.Node
	// Rate is the learning rate of this step and Number the step's, counted from 1: float32 scalars.
	Rate, Number *graph.Node
}

// decayed reports whether weight decay pulls at a weight: for which only is true, or at all where it is nil.
func decayed(decay float64, only func(weight string) bool, weight string) bool {
	return decay > 0 && (only == nil || only(weight))
}

func checkRate(rate float64) error {
	if !(rate > 0) || math.IsInf(rate, 0) {
		return fmt.Errorf("learn: the learning rate is %v, it is positive", rate)
	}
	return nil
}

func checkDecay(decay float64) error {
	if !(decay >= 0) || math.IsInf(decay, 0) {
		return fmt.Errorf("learn: the weight decay is %v, it is not negative", decay)
	}
	return nil
}

func checkMomentum(momentum float64) error {
	if !(momentum >= 0 && momentum < 1) {
		return fmt.Errorf("learn: the momentum is %v, it lies between 0 and 1", momentum)
	}
	return nil
}

// norm is the L2 norm of a whole weight, a scalar.
func norm(x *graph.Node) *graph.Node { return graph.Sqrt(graph.ReduceAllSum(graph.Square(x))) }
