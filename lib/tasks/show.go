package tasks

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/table"
)

// Sides shows what tasks sort apart, a row for each: the mean of the images that have the label 0 and some of them,
// then the same for 1. images is [N, H, W, C] float32 in 0..1, with a label of each task, and n how many of a side are
// shown, drawn at random by the seed: a side that has fewer shows them all.
func Sides(images *tensors.Tensor, n int, seed uint64, tasks ...Task) (display.Grid, error) {
	if images == nil || images.CheckValid() != nil || images.Rank() != 4 || n < 1 || len(tasks) == 0 {
		return display.Grid{},
			fmt.Errorf("tasks: to show what tasks sort apart takes tasks, images [N, H, W, C], and a number of them that is " +
				"positive")
	}
	grid := display.Grid{Columns: []string{"mean of 0"}}
	for side := range 2 {
		if side == 1 {
			grid.Columns = append(grid.Columns, "mean of 1")
		}
		for range n {
			grid.Columns = append(grid.Columns, fmt.Sprint(side))
		}
	}
	for _, t := range tasks {
		if err := t.check(images.Shape().Dimensions[0]); err != nil {
			return display.Grid{}, err
		}
		rng := rand.New(rand.NewPCG(seed, 4))
		var row []display.Tile
		for side := range 2 {
			var numbers []int
			for i, label := range t.Labels {
				if label == side {
					numbers = append(numbers, i)
				}
			}
			if len(numbers) == 0 {
				row = append(row, make([]display.Tile, 1+n)...)
				continue
			}
			mean, err := meanImage(images, numbers)
			if err != nil {
				return display.Grid{}, err
			}
			rng.Shuffle(len(numbers), func(i, k int) { numbers[i], numbers[k] = numbers[k], numbers[i] })
			some, err := rows.Pick(images, numbers[:min(n, len(numbers))])
			if err != nil {
				return display.Grid{}, fmt.Errorf("tasks: %w", err)
			}
			for _, shown := range []*tensors.Tensor{mean, some} {
				pictures, err := display.Images(shown)
				if err != nil {
					return display.Grid{}, err
				}
				row = append(row, display.Tiles(pictures)...)
			}
			row = append(row, make([]display.Tile, n-min(n, len(numbers)))...)
		}
		grid.Rows, grid.Labels = append(grid.Rows, row), append(grid.Labels, t.Name)
	}
	return grid, nil
}

// SplitSides shows what a network sees of the adversarial split of a dataset by another task ([Split]): n images of
// each label that it learns from, then of each that it is asked about, drawn at random by the seed. images is [N, H, W,
// C] float32 in 0..1, with a label of each task.
func SplitSides(images *tensors.Tensor, n int, seed uint64, asked, other Task) (display.Grid, error) {
	train, test, err := Split(asked, other)
	if err != nil {
		return display.Grid{}, err
	}
	if images == nil || images.CheckValid() != nil || images.Rank() != 4 ||
		images.Shape().Dimensions[0] != len(asked.Labels) || n < 1 {
		return display.Grid{},
			fmt.Errorf("tasks: to show a split takes images [N, H, W, C] with a label each, and a number of them that is " +
				"positive")
	}
	grid, rng := display.Grid{}, rand.New(rand.NewPCG(seed, 5))
	for i, numbers := range [][]int{train, test} {
		for label := range 2 {
			var of []int
			for _, k := range numbers {
				if asked.Labels[k] == label {
					of = append(of, k)
				}
			}
			rng.Shuffle(len(of), func(i, k int) { of[i], of[k] = of[k], of[i] })
			row := make([]display.Tile, n)
			if len(of) > 0 {
				some, err := rows.Pick(images, of[:min(n, len(of))])
				if err != nil {
					return display.Grid{}, fmt.Errorf("tasks: %w", err)
				}
				pictures, err := display.Images(some)
				if err != nil {
					return display.Grid{}, err
				}
				copy(row, display.Tiles(pictures))
			}
			grid.Rows = append(grid.Rows, row)
			grid.Labels = append(grid.Labels, fmt.Sprintf("%s, label %d", []string{"learnt from", "asked about"}[i], label))
		}
	}
	return grid, nil
}

// meanImage is the mean of the images with these numbers, [1, H, W, C].
func meanImage(images *tensors.Tensor, numbers []int) (*tensors.Tensor, error) {
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	d := images.Shape().Dimensions
	width := d[1] * d[2] * d[3]
	sum := make([]float64, width)
	for _, i := range numbers {
		for k, v := range flat[i*width : (i+1)*width] {
			sum[k] += float64(v)
		}
	}
	mean := make([]float32, width)
	for k := range mean {
		mean[k] = float32(sum[k] / float64(len(numbers)))
	}
	return tensors.FromFlatDataAndDimensions(mean, 1, d[1], d[2], d[3]), nil
}

// ByClass is a table of how many images of each class have the label 1 in each task: what a task has to do with what
// the images are called. labels are the images' classes, numbers of names; -1 is unknown and not counted.
func ByClass(labels []int, names []string, tasks ...Task) (table.Table, error) {
	t := table.Table{Header: append([]string{"labels that are 1"}, names...)}
	for _, task := range tasks {
		if err := task.check(len(labels)); err != nil {
			return table.Table{}, err
		}
		parts := make([]Task, len(names))
		for i, class := range labels {
			if class >= len(names) || class < -1 {
				return table.Table{}, fmt.Errorf("tasks: image %d is of the class %d: there are names of %d", i, class, len(names))
			}
			if class >= 0 {
				parts[class].Labels = append(parts[class].Labels, task.Labels[i])
			}
		}
		row := []any{task.Name}
		for _, part := range parts {
			row = append(row, table.Percent(part.Rate().Share()))
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}
