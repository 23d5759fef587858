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
func Evaluate(a attack.AutoAttack, m *model.Model, images *tensors.Tensor, labels []int, masks, guides *tensors.Tensor, guideLabels []int, weight float64) (*attack.Evaluation, error) {
	e, err := a.Run(m, images, labels)
	if err != nil || !segments(m) {
		return e, err
	}
	if masks == nil || masks.Rank() != 3 || masks.Shape().Dimensions[0] != len(labels) {
		return nil, fmt.Errorf("parts: masks are [N, H, W], one for each of %d images", len(labels))
	}
	for _, g := range []Guided{{Untargeted: true}, {}} {
		g.Weight = weight
		g.APGD = attack.APGD{Norm: a.Norm, Eps: a.Eps, Steps: a.Steps, Seed: a.Seed}
		attempt := attack.Attempt{Attack: "parts, towards a guide"}
		if g.Untargeted {
			attempt.Attack = "parts, untargeted"
		}
		var standing, theirs []int
		for i, by := range e.By {
			if by == attack.Stands {
				standing, theirs = append(standing, i), append(theirs, labels[i])
			}
		}
		if len(standing) == 0 {
			break
		}
		some, err := rows.Pick(images, standing)
		if err != nil {
			return nil, fmt.Errorf("parts: %w", err)
		}
		own, err := rows.Pick(masks, standing)
		if err != nil {
			return nil, fmt.Errorf("parts: %w", err)
		}
		r, stopped := g.Robustness(m, some, theirs, own, guides, guideLabels)
		if stopped != nil && !interrupt.Is(stopped) {
			return nil, stopped
		}
		attempt.Tried = len(standing)
		if r != nil {
			found, err := tensors.CopyFlatData[float32](r.Attacked.Images)
			if err != nil {
				return nil, fmt.Errorf("parts: %w", err)
			}
			size := len(found) / len(standing)
			err = e.Images.MutableFlatData(func(all any) {
				for k, margin := range r.Attacked.Values {
					if i := standing[k]; margin > 0 {
						copy(all.([]float32)[i*size:(i+1)*size], found[k*size:(k+1)*size])
						e.By[i] = len(e.Attempts)
						attempt.Fell++
					}
				}
			})
			if err != nil {
				return nil, fmt.Errorf("parts: %w", err)
			}
		}
		e.Robust.Correct -= attempt.Fell
		attempt.Robust = e.Robust
		e.Attempts = append(e.Attempts, attempt)
		if stopped != nil {
			return e, stopped
		}
	}
	return e, nil
}
