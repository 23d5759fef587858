package tasks

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Splits are the scores of tasks that networks learnt from one part of a dataset and were asked about on the rest, for
// several ways to divide it: a score for each task that is asked for, in the same order.
type Splits struct {
	// Adversarial are the splits by other tasks ([Split]).
	Adversarial Scores
	// SameLabels and SameClasses are the controls: splits by those tasks' labels dealt anew ([PermuteLabels]) among the
	// images of each label of the task that is asked for, and among those of each class. They have the same sizes and as
	// many images of each label, or class, on either side.
	SameLabels, SameClasses Scores

	others []string
}

// OfSplits has networks learn each of the tasks that are asked for on the adversarial split by the one of others in the
// same place, and on its two controls, drawn by the seed. images are [N, H, W, C] float32 in 0..1, with a class, any
// number, and a label of each task. The paper has two-way and ten-way tasks (section 6); these are two-way.
//
// Nothing is compiled again from split to split. Interrupted, it returns the tasks that are done beside the error.
func (a Agreement) OfSplits(images *tensors.Tensor, classes []int, seed uint64, asked, others []Task) (Splits, error) {
	var s Splits
	if len(asked) != len(others) {
		return s, fmt.Errorf("tasks: %d tasks are asked for and %d divide the images: it is one for each", len(asked),
			len(others))
	}
	var all []divided
	for i, want := range asked {
		byLabel, err := PermuteLabels(others[i], want.Labels, seed)
		if err != nil {
			return s, err
		}
		byClass, err := PermuteLabels(others[i], classes, seed)
		if err != nil {
			return s, err
		}
		for _, by := range []Task{others[i], byLabel, byClass} {
			train, test, err := Split(want, by)
			if err != nil {
				return s, err
			}
			all = append(all, divided{want, train, test})
		}
		s.others = append(s.others, others[i].Name)
	}
	scores, err := a.of(images, all)
	for i, score := range scores[:len(scores)/3*3] {
		of := []*Scores{&s.Adversarial, &s.SameLabels, &s.SameClasses}[i%3]
		*of = append(*of, score)
	}
	s.others = s.others[:len(s.Adversarial)]
	return s, err
}

// Table has a row for each task that is asked for: the mean accuracy of its two networks on each split.
func (s Splits) Table() (table.Table, error) {
	t := table.Table{Header: []string{"asked for", "divided by", "asked about", "right, adversarial", "same labels",
		"same classes"}}
	for i, other := range s.others {
		t.Add(s.Adversarial[i].Task.Name, other, s.Adversarial[i].Agreement.Total,
			table.Percent(s.Adversarial[i].Accuracy()), table.Percent(s.SameLabels[i].Accuracy()),
			table.Percent(s.SameClasses[i].Accuracy()))
	}
	return t, nil
}

// Bundle shows the table.
func (s Splits) Bundle() mime.Bundle { return table.Shown(s.Table()) }
