package parts

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// Evaluate tells how robust a model is: AutoAttack, and then, for a part model, both attacks through the parts, see
// [Guided], on the images that stand it; they are two more attempts of the result. A plain classifier gets AutoAttack
// alone. Images and labels are AutoAttack's, masks [N, H, W] int32 are theirs, and guides the masks of images that the
// model has learnt from, with a label each. weight is that of the parts in the attacks' loss; 0 means 0.5.
//
// Interrupted, it returns the figures so far beside the error, as AutoAttack does.
func Evaluate(a attack.AutoAttack, m *model.Model, images *tensors.Tensor, labels []int, masks, guides *tensors.Tensor,
	guideLabels []int, weight float64) (*attack.Evaluation, error) {
	e, err := a.Run(m, images, labels)
	if err != nil || !segments(m) {
		return e, err
	}
	if _, err := masksOf(images, masks); err != nil {
		return nil, err
	}
	for _, way := range []struct {
		name       string
		untargeted bool
	}{{"parts, untargeted", true}, {"parts, towards a guide", false}} {
		g := Guided{Weight: weight, Untargeted: way.untargeted, APGD: attack.APGD{Norm: a.Norm, Eps: a.Eps, Steps: a.Steps,
			Seed: a.Seed}}
		err := e.Attempt(way.name, m, labels, func(images *tensors.Tensor, numbers []int) (*attack.Robustness, error) {
			own, err := rows.Pick(masks, numbers)
			if err != nil {
				return nil, fmt.Errorf("parts: %w", err)
			}
			var theirs []int
			for _, i := range numbers {
				theirs = append(theirs, labels[i])
			}
			return g.Robustness(m, images, theirs, own, guides, guideLabels)
		})
		if interrupt.Is(err) {
			return e, err
		} else if err != nil {
			return nil, err
		}
	}
	return e, nil
}
