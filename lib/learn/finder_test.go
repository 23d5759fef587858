package learn

import (
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/model"
)

// With the loss w², a step of rate r multiplies w by 1-2r: below 1 the loss falls, above it grows. The rate at which it
// falls fastest lies between a hundredth and 1.
func TestTheLearningRateIsFound(t *testing.T) {
	run := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 20, 1), Sampler: Shuffled(5),
		Optimizer: SGD{LearningRate: 7},
		Step: func(s *Step) Loss {
			w := graph.ReduceAllSum(graph.Square(s.Weight("net", "linear.weight")))
			return Loss{Each: graph.BroadcastToDims(w, 5)}
		}, Epochs: 3, Schedule: Cosine}
	found, err := FindRate(run, 1e-4, 1e4, 80)
	if err != nil {
		t.Fatal(err)
	}
	if !(found.Suggested > 0.01 && found.Suggested < 1) {
		t.Errorf("%v of %v", found, found.Smoothed)
	}
	if n := len(found.Rate); n >= 80 || n < 40 || !approx.Equal(found.Rate[0], 1e-4, 1e-12) || found.Rate[n-1] < 1 {
		t.Errorf("%d rates up to %v were tried: the loss grows from 1 on", n, found.Rate[n-1])
	}
	if b := found.Bundle(); b.Data["image/png"] == "" {
		t.Error("the curve is not drawn")
	}
	if _, err := FindRate(run, 1, 0.1, 0); err == nil || !strings.Contains(err.Error(), "from 1 to 0.1") {
		t.Error(err)
	}
}
