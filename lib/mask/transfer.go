package mask

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/table"
)

// TransferScores say how models do on each other's subsets: [model whose subsets they are][model that sees them].
type TransferScores [][]Score

// Transfer measures each model on each other's subsets: the score in row i and column j is that of models[j] on
// subsets[i], images [N, H, W, C] of which only what suffices models[i] is left, with the labels of all. Interrupted,
// it returns the scores that are done, row by row, beside the error; nil if none is.
func Transfer(models []*model.Model, subsets []*tensors.Tensor, labels []int) (TransferScores, error) {
	if len(models) != len(subsets) || len(models) == 0 {
		return nil, fmt.Errorf("mask: %d models have %d sets of images: give one for each model",
			len(models), len(subsets))
	}
	var scores TransferScores
	all := len(models) * len(subsets)
	bar := progress.New("masks of each model shown to the others", all)
	defer bar.Close()
	for i, images := range subsets {
		var row []Score
		for j, m := range models {
			score, err := Evaluate(m, images, labels, labels)
			if interrupt.Is(err) {
				if j > 0 {
					scores = append(scores, row)
				}
				return scores, interrupt.After(err, "mask: transfer", i*len(models)+j, all, "scores")
			}
			if err != nil {
				return nil, err
			}
			row = append(row, score)
			bar.Add(1)
		}
		scores = append(scores, row)
	}
	return scores, nil
}

// Others are, for each model's subsets, the mean accuracy in 0..1 of all the other models on them. It is an error
// where there is one model only, or where not all scores are there.
func (t TransferScores) Others() ([]float64, error) {
	if len(t) < 2 {
		return nil, fmt.Errorf("mask: the subsets of %d models have been seen by no other", len(t))
	}
	means := make([]float64, len(t))
	for i, row := range t {
		if len(row) != len(t) {
			return nil, fmt.Errorf("mask: of the %d models %d have seen the subsets of model %d", len(t), len(row), i+1)
		}
		for j, s := range row {
			if i != j {
				means[i] += s.Accuracy.Share() / float64(len(t)-1)
			}
		}
	}
	return means, nil
}

// Table has a row for each model's subsets and a column for each model that sees them, with accuracies.
func (t TransferScores) Table() table.Table {
	shown := table.Table{Header: []string{"subsets of"}}
	for i, row := range t {
		cells := []any{fmt.Sprintf("network %d", i+1)}
		for j, s := range row {
			if i == 0 {
				shown.Header = append(shown.Header, fmt.Sprintf("network %d", j+1))
			}
			cells = append(cells, table.Bar(s.Accuracy.Share()))
		}
		shown.Add(cells...)
	}
	return shown
}

// Bundle shows the table.
func (t TransferScores) Bundle() mime.Bundle { return t.Table().Bundle() }
