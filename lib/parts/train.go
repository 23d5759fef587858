package parts

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/learn"
)

// Training is the step of a learn.Run that trains a part model, on [Data]:
//
//	run := learn.Run{Nets: map[string]*model.Model{"parts": m}, Data: data, …,
//		Step: parts.Training{Weight: 0.5, Attack: learn.Adversarial{Norm: attack.LInf, Epsilon: 8. / 255, Steps: 10}}.Step("parts")}
type Training struct {
	// Weight is c, the share of the segmentation in the loss: see [Joint]. 0 learns from the classes alone.
	Weight float64
	// Attack makes the step's images worse by the same loss, through the whole model, which says then what it says in
	// evaluation: its batch normalisations take their running statistics, as in the authors' code. The zero value leaves
	// them.
	Attack learn.Adversarial
}

// Step is the step for the run's network of that name. Its metrics are "accuracy" of the classes and "pixels", the share
// of the labelled pixels whose part is right, both under the attack.
func (t Training) Step(net string) func(s *learn.Step) learn.Loss {
	return func(s *learn.Step) learn.Loss {
		if !(t.Weight >= 0 && t.Weight <= 1) {
			panic(fmt.Errorf("parts: a weight of %v for the segmentation: it is in 0..1", t.Weight))
		}
		if !s.Has(MasksColumn) {
			panic(fmt.Errorf("parts: the data has no masks: make it by parts.Data"))
		}
		labels, masks := s.Labels(), s.Column(MasksColumn)
		x := s.Images()
		if t.Attack != (learn.Adversarial{}) {
			how := s.How(net)
			how.BatchStats = nil
			x = t.Attack.Raise(s.Batch, x, func(x *graph.Node) *graph.Node {
				return Joint(s.CallAs(net, x, how), labels, masks, t.Weight)
			})
		}
		out := s.Call(net, x)
		loss := s.Classification(out.Logits)
		loss.Metrics["pixels"] = pixelAccuracy(scoresOf(out), masks)
		loss.Each = Joint(out, labels, masks, t.Weight)
		return loss
	}
}
