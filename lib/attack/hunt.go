package attack

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// hunt looks for an image near each image that the network gets wrong, in a loop on the device over a state with a row
// for each image. Images that are found need no more rounds: after each stage those that are left are put together
// anew, so that the batches stay full of images that still stand. A row must not depend on which others are beside it.
type hunt struct {
	what   string // in words
	key    any    // all that the program depends on, see [model.Model.Exec]; nil of one that cannot be kept
	stages []int  // the rounds after which stages end, the last after all
	// step returns the state after a round, whose number, an int32 scalar, counts from 0.
	step func(round *graph.Node, state []*graph.Node) []*graph.Node
	// found is where the state has a flag, [B, 1, 1, 1], that is 1 once the image of the place image is wrong.
	found, image int
}

// prey is what a hunt finds of one image: its number among those of the start, and the image.
type prey struct {
	number int
	pixels []float32
}

// run hunts from the start, whose tensors have a row for each image. Beside an error of an interrupt is what was found
// before.
func (h hunt) run(m *model.Model, start []*tensors.Tensor) ([]prey, error) {
	exec, err := m.Exec(h.key, func(in []*graph.Node) []*graph.Node {
		state := in[2:]
		for i, v := range state {
			if v.DType().IsFloat() {
				state[i] = m.Cast(v)
			}
		}
		return model.LoopPart(in[0], in[1], state, h.step, m)
	})
	if err != nil {
		return nil, err
	}
	if h.key == nil { // nothing keeps the program
		defer exec.Finalize()
	}
	n := start[0].Shape().Dimensions[0]
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	var caught []prey
	paces := map[int]*paced.Pace{} // by the size of the batch
	bar := progress.New(m.Name()+": "+h.what, n)
	defer bar.Close()
	state, from := start, 0
	for _, end := range h.stages {
		size := m.ChunkSize(len(numbers))
		if paces[size] == nil {
			paces[size] = &paced.Pace{}
		}
		var left []int // of the images, and the state's rows that are theirs
		joins := make([]*rows.Join, len(state))
		for i := range joins {
			joins[i] = rows.NewJoin(len(numbers))
		}
		for lo := 0; lo < len(numbers); lo += size {
			hi := min(lo+size, len(numbers))
			part, err := h.rounds(exec, paces[size], state, lo, hi, size, from, end)
			stopped := interrupt.After(err, "attack: "+h.what, n-len(numbers)+lo, n, "images")
			if err != nil && (!interrupt.Is(err) || part == nil) {
				return caught, stopped
			}
			flags, err := float32s(part[h.found])
			if err != nil {
				return nil, err
			}
			pixels, err := float32s(part[h.image])
			if err != nil {
				return nil, err
			}
			width := len(pixels) / size
			for i := range hi - lo {
				if flags[i] > 0.5 {
					caught = append(caught, prey{numbers[lo+i], pixels[i*width : (i+1)*width : (i+1)*width]})
				} else {
					left = append(left, lo+i)
				}
			}
			if stopped != nil {
				return caught, stopped
			}
			for i, t := range part {
				if err := joins[i].Add(t, hi-lo); err != nil {
					return nil, fmt.Errorf("attack: %s: %w", h.what, err)
				}
			}
		}
		bar.Add(len(numbers) - len(left))
		if len(left) == 0 {
			break
		}
		next := make([]*tensors.Tensor, len(state))
		for i, join := range joins {
			whole, err := join.Tensor()
			if err != nil {
				return nil, err
			}
			if next[i], err = rows.Pick(whole, left); err != nil {
				return nil, err
			}
		}
		for i, at := range left {
			left[i] = numbers[at]
		}
		state, numbers, from = next, left, end
	}
	bar.Add(len(numbers))
	return caught, nil
}

// rounds does the rounds from one up to another (excluded) of the rows lo to hi of the state, in a batch of a size. The
// result beside an error of an interrupt is the state after the rounds that are done; nil where none is.
func (h hunt) rounds(exec *model.Program, pace *paced.Pace, state []*tensors.Tensor, lo, hi, size, from,
	end int) ([]*tensors.Tensor, error) {
	var part []*tensors.Tensor
	for _, t := range state {
		placed, err := model.PlaceRows(t, lo, hi, size)
		if err != nil {
			return nil, err
		}
		part = append(part, placed)
	}
	done, err := pace.Steps(from, end, func(first, end int) error {
		args := []any{int32(first), int32(end)}
		for _, t := range part {
			args = append(args, t)
		}
		next, err := exec.Call(args...)
		if err != nil {
			return fmt.Errorf("attack: %s: %w", h.what, err)
		}
		model.Free(part...)
		part = next
		return nil
	})
	if done == 0 {
		model.Free(part...)
		return nil, err
	}
	return part, err
}

// stages are where a hunt of so many rounds puts its batches together anew: after the rounds at about these thousandths
// of them. Most images that fall do so early.
func stages(rounds int) (ends []int) {
	for _, share := range []int{10, 30, 100, 220, 400, 600, 800, 1000} {
		if end := (rounds*share + 999) / 1000; len(ends) == 0 || end > ends[len(ends)-1] {
			ends = append(ends, end)
		}
	}
	return ends
}
