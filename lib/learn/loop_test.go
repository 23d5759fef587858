package learn

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/model"
)

// An attack whose rounds are a program of their own finds what it does within the step's program, from a random start,
// behind an augmentation, and leaves the random numbers that come after it as they are.
func TestLoopsTakenOutAreTheSame(t *testing.T) {
	images, labels := bars(60, 1)
	examples, err := FromTensors(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	net := network(t, 1)
	run := func(unrolled bool, losses int) map[string][]float64 {
		t.Helper()
		trained, err := Run{Nets: map[string]*model.Model{"net": net}, Data: examples, Sampler: Shuffled(20), Steps: 4,
			Optimizer: SGD{LearningRate: 0.1}, Augment: []Augmentation{Flip{}}, Seed: 5,
			Step: func(s *Step) Loss {
				how := s.How("net")
				logits := func(x *graph.Node) *graph.Node { return s.CallAs("net", x, how).Logits }
				from := s.Batch
				if unrolled {
					copied := *s.Batch
					copied.loop, from = nil, &copied
				}
				x := s.Images()
				for range losses {
					x = Adversarial{Norm: attack.LInf, Epsilon: 0.1, Steps: 2, RandomStart: true}.Attack(from, x, s.Labels(), logits)
				}
				s.random = from.random
				x = graph.Add(x, graph.MulScalar(s.Uniform(x.Shape().Dimensions...), 0.1))
				loss := s.Classification(s.Call("net", x).Logits)
				loss.Metrics["x"] = graph.ReduceMean(x, 1, 2, 3)
				return loss
			}}.Do()
		if err != nil {
			t.Fatal(err)
		}
		return map[string][]float64{"loss": trained.History.Loss, "x": trained.History.Metrics["x"]}
	}
	for losses, programs := range map[int]int{1: 1, 2: 0} {
		before := model.Compilations()
		want := run(true, losses)
		alone := model.Compilations() - before
		before = model.Compilations()
		got := run(false, losses)
		if n := model.Compilations() - before; n != alone+programs {
			t.Errorf("%d attacks: %d programs, and %d where they are unrolled", losses, n, alone)
		}
		for name := range want {
			if err := approx.All(got[name], want[name], 1e-4); err != nil || len(want[name]) != 4 {
				t.Errorf("%d attacks: %s: %v", losses, name, err)
			}
		}
	}
}

// A loop is taken out of a step that is one call and whose gradient is of the mean loss, unless its rounds draw by
// chance.
func TestWhichLoopsAreTakenOut(t *testing.T) {
	images, labels := bars(60, 1)
	examples, err := FromTensors(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		gradient Gradient
		rounds   int
		draws    bool
		want     bool
	}{
		"mean": {nil, 2, false, true}, "one round": {nil, 1, false, false}, "noise": {nil, 2, true, false},
		"microbatches": {Mean{Microbatch: 10}, 2, false, false}, "DP": {DP{Clip: 1, Noise: 1, Delta: 1e-5, Microbatch: 1}, 2,
			false, false},
	} {
		p, err := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples, Sampler: Shuffled(20), Steps: 1,
			Optimizer: SGD{LearningRate: 0.1}, Gradient: c.gradient,
			Step: func(s *Step) Loss {
				how := s.How("net")
				x := Adversarial{Epsilon: 0.1, Steps: c.rounds}.Attack(s.Batch, s.Images(), s.Labels(),
					func(x *graph.Node) *graph.Node {
						if c.draws {
							x = graph.Add(x, graph.MulScalar(s.Normal(x.Shape().Dimensions...), 0.1))
						}
						return s.CallAs("net", x, how).Logits
					})
				return s.Classification(s.Call("net", x).Logits)
			}}.plan()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := p.loop != nil; got != c.want {
			t.Errorf("%s: that the loop is taken out is %v", name, got)
		}
	}
}
