package labels

import (
	"fmt"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/model"
)

// Alignment claims whether images are those that others have answered about, in the same order, where there is nothing
// but answers to tell: on images that most of the other models get wrong, the share that a model gets wrong too. The
// control is that share if each answer were to the next image of the same label: then order within the labels is lost,
// and how hard a label is stays. predicted are the model's answers to the first of the images, others are those to all.
func Alignment(name string, predicted, given []int, others ...*model.Answers) (claim.Claim, error) {
	if len(predicted) == 0 || len(predicted) > len(given) || len(others) == 0 {
		return claim.Claim{}, fmt.Errorf("labels: %s: %d answers about %d labels, and %d other models",
			name, len(predicted), len(given), len(others))
	}
	missed := make([]int, len(predicted))
	for _, m := range others {
		of, err := m.Predicted()
		if err != nil {
			return claim.Claim{}, fmt.Errorf("labels: %w", err)
		}
		if len(of) != len(given) {
			return claim.Claim{}, fmt.Errorf("labels: %s: %d answers of %s about %d labels",
				name, len(of), m.Model, len(given))
		}
		for i := range missed {
			if of[i] != given[i] {
				missed[i]++
			}
		}
	}
	next, first := map[int]int{}, map[int]int{} // by label, the image after, from the end on
	after := make([]int, len(predicted))
	for i := len(predicted) - 1; i >= 0; i-- {
		y := given[i]
		if follower, has := next[y]; has {
			after[i] = follower
		} else {
			first[y] = i // the last of its label, which goes on with the first
		}
		next[y] = i
	}
	for y, last := range first {
		after[last] = next[y]
	}
	hard, wrong, moved := 0, 0, 0
	for i, n := range missed {
		if 2*n <= len(others) {
			continue
		}
		hard++
		if predicted[i] != given[i] {
			wrong++
		}
		if predicted[after[i]] != given[i] {
			moved++
		}
	}
	if hard == 0 {
		return claim.Claim{}, fmt.Errorf("labels: %s: no image is one that most of %d models get wrong",
			name, len(others))
	}
	c, err := claim.Share(name, "images", 1, wrong, hard)
	if err != nil {
		return c, err
	}
	return c.AgainstShare("one image further on", moved, hard)
}
