package shift

import (
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Transfers claims whether what one model gets wrong others get wrong too: for each of the models, the accuracy of each
// other one on the images that it gets wrong, beside that on the images that it gets right. Were mistakes each model's
// own, the two would be alike. Claims are named such as "b right on what a gets wrong", and their intervals are over
// images. All have answered about the same labelled set; it is an error where one gets all right, or all wrong.
func Transfers(answers ...*model.Answers) (claim.Claims, error) {
	if len(answers) < 2 {
		return nil, fmt.Errorf("shift: mistakes of %d models pass on to no other", len(answers))
	}
	var all claim.Claims
	for i := range answers {
		others := slices.Delete(slices.Clone(answers), i, i+1)
		kept, err := Filter{LabelBelow: 1}.Keep(answers[i:i+1], others...)
		if err != nil {
			return nil, err
		}
		for k := 2; k < len(kept.Cells); k += 2 {
			whole, wrong := kept.Cells[k].Accuracy, kept.Cells[k+1].Accuracy
			right := stats.Accuracy{Correct: whole.Correct - wrong.Correct, Total: whole.Total - wrong.Total}
			c, err := claim.Accuracy(kept.Cells[k].Model+" right on what "+answers[i].Model+" gets wrong", wrong)
			if err != nil {
				return nil, err
			}
			if c, err = c.AgainstAccuracy("on what it gets right", right); err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}
