package learn

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/model"
)

// What raises a linear loss most within a ball is known: Epsilon times the weights' signs for L∞, and Epsilon along the
// weights for L2, from a random start too.
func TestAttacksOfALinearLoss(t *testing.T) {
	const eps, n = 0.05, 10
	weights := make([]float32, 8*8)
	var square float64
	for i := range weights {
		weights[i] = float32(math.Sin(float64(3*i + 1)))
		square += float64(weights[i]) * float64(weights[i])
	}
	grey, err := FromTensors(tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{0.5}, n*8*8), n, 8, 8, 1),
		make([]int, n))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []Adversarial{
		{Norm: attack.LInf, Epsilon: eps, Steps: 4}, {Norm: attack.LInf, Epsilon: eps, Steps: 4, RandomStart: true,
			StepSize: eps},
		{Epsilon: eps, Steps: 4}, {Epsilon: eps, Steps: 4, RandomStart: true, StepSize: 1},
	} {
		trained, err := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: grey, Sampler: Shuffled(5), Steps: 2,
			Optimizer: SGD{LearningRate: 0.1},
			Step: func(s *Step) Loss {
				w := graph.Const(s.Graph(), tensors.FromFlatDataAndDimensions(weights, 1, 8, 8, 1))
				worst := a.Raise(s.Batch, s.Images(), func(x *graph.Node) *graph.Node {
					return graph.ReduceSum(graph.Mul(x, w),
						1, 2, 3)
				})
				best := graph.MulScalar(graph.Sign(w), eps)
				if a.Norm == attack.L2 {
					best = graph.MulScalar(w, eps/math.Sqrt(square))
				}
				off := graph.ReduceMax(graph.Abs(graph.Sub(graph.Sub(worst, s.Images()), best)), 1, 2, 3)
				loss := s.Classification(s.Call("net", worst).Logits)
				loss.Metrics = map[string]*graph.Node{"off": off}
				return loss
			}}.Do()
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range trained.History.Metrics["off"] {
			if !approx.Equal(off, 0, 1e-4) {
				t.Errorf("%+v ends %g from the worst image", a, off)
			}
		}
		if len(trained.History.Metrics["off"]) == 0 {
			t.Error("nothing was measured")
		}
	}
	if err := (Adversarial{Norm: 7, Epsilon: 1}).check(); err == nil || !strings.Contains(err.Error(), "norm 7") {
		t.Errorf("a norm that there is not: %v", err)
	}
}
