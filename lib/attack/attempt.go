package attack

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// Attempt lets one more attack try the images that still stand, [M, H, W, C], with the numbers that they have among
// all, and writes down what falls as [AutoAttack.Run] does: what the attack returns, such as [APGD.Break] does, counts
// where the model, asked once more, takes it for another class than its label, and is an error where it is further than
// the radius or outside of 0..1. m and labels are those of the evaluation. Nothing is tried where no image stands.
//
// Interrupted, the attack returns what it has beside the error; that is written down, and the error returned.
func (e *Evaluation) Attempt(name string, m *model.Model, labels []int,
	try func(images *tensors.Tensor, numbers []int) (*Robustness, error)) error {
	if e == nil || m == nil || len(labels) != len(e.By) {
		return fmt.Errorf("attack: an attempt needs an evaluation, its model and a label for each of its images")
	}
	var standing []int
	for i, by := range e.By {
		if by == Robust {
			standing = append(standing, i)
		}
	}
	if len(standing) == 0 {
		return nil
	}
	images, err := rows.Pick(e.originals, standing)
	if err != nil {
		return fmt.Errorf("attack: %w", err)
	}
	r, stopped := try(images, slices.Clone(standing))
	if stopped != nil && !interrupt.Is(stopped) {
		return stopped
	}
	var caught []prey
	if r != nil {
		if caught, err = changed(images, r.Attacked.Images); err != nil {
			return err
		}
	}
	fell, err := e.take(m, caught, standing, labels)
	if err != nil && stopped == nil {
		return err
	}
	e.Robust.Correct -= len(fell)
	e.Attempts = append(e.Attempts, Attempt{Attack: name, Tried: len(standing), Fell: len(fell), Robust: e.Robust})
	return stopped
}

// changed are the images that an attack has not left as they were.
func changed(before, after *tensors.Tensor) ([]prey, error) {
	if after == nil || !after.Shape().Equal(before.Shape()) {
		return nil, fmt.Errorf("attack: an attack of images %s returned others", before.Shape())
	}
	was, err := tensors.CopyFlatData[float32](before)
	if err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	now, err := tensors.CopyFlatData[float32](after)
	if err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	var caught []prey
	n := before.Shape().Dimensions[0]
	size := len(was) / n
	for i := range n {
		if pixels := now[i*size : (i+1)*size]; !slices.Equal(pixels, was[i*size:(i+1)*size]) {
			caught = append(caught, prey{number: i, pixels: pixels})
		}
	}
	return caught, nil
}
