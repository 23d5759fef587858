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
	// Weight is c, the share of the segmentation in the loss: see [JointLoss]. 0 learns from the classes alone, which any
	// classifier can.
	Weight float64
	// Attack makes the step's images worse by the same loss, through the whole model, which says then what it says in
	// evaluation: its batch normalisations take their running statistics, as in the authors' code. The zero value
	// leaves them.
	Attack learn.Adversarial
}

// Step is the step for the run's network of that name. Its metrics are "accuracy" of the classes and "pixels", the
// share of the labelled pixels whose part is right, both under the attack.
func (t Training) Step(net string) func(s *learn.Step) learn.Loss {
	return func(s *learn.Step) learn.Loss {
		if !(t.Weight >= 0 && t.Weight <= 1) {
			panic(fmt.Errorf("parts: a weight of %v for the segmentation: it is in 0..1", t.Weight))
		}
		labels, x := s.Labels(), s.Images()
		var masks *graph.Node
		if s.Has(MasksColumn) {
			masks = s.Column(MasksColumn)
		} else if t.Weight > 0 {
			panic(fmt.Errorf("parts: the data has no masks: make it by parts.Data"))
		}
		if t.Attack != (learn.Adversarial{}) {
			how := s.How(net)
			how.BatchStats = nil
			x = t.Attack.Raise(s.Batch, x, func(x *graph.Node) *graph.Node {
				return JointLoss(s.CallAs(net, x, how), labels, masks, t.Weight)
			})
		}
		out := s.Call(net, x)
		loss := s.Classification(out.Logits)
		if masks != nil && out.Maps[Segmentation] != nil {
			loss.Metrics["pixels"] = pixelAccuracy(out.Maps[Segmentation], masks)
		}
		loss.Each = JointLoss(out, labels, masks, t.Weight)
		return loss
	}
}
