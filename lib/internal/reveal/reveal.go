// Package reveal asks a network about images of which more and more pixels are seen, in one loop on the device. To show
// an image over a filler is insertion, and to show the filler over the image is deletion.
package reveal

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Loop is what is asked of a network.
type Loop struct {
	// Over is seen where a pixel's rank is below the number of pixels, and Under everywhere else, both [N, H, W, C]
	// float32.
	Over, Under *tensors.Tensor
	// Ranks are [N, H, W] int32, as mask.Rank gives them.
	Ranks *tensors.Tensor
	// Classes are one for each row.
	Classes []int
	// Counts are the numbers of pixels at the points.
	Counts []int
	// Logit asks for the class's logit in place of its probability.
	Logit bool
	// Work is what the progress is called.
	Work string
}

// NotANumber is the error of a network that overflows.
type NotANumber struct{ Row, Point int }

func (e *NotANumber) Error() string {
	return fmt.Sprintf("the network's answer to row %d at point %d is not a number", e.Row, e.Point)
}

// key is what the program is kept under.
type key struct{ Logit bool }

// Curves returns what the network says of each row's class at each point, [N][Points]. Interrupted, it returns those of
// the first rows beside the interrupt's error.
func (l Loop) Curves(m *model.Model) ([][]float64, error) {
	n, points := len(l.Classes), len(l.Counts)
	logit := l.Logit // the program must not hold the images
	run, err := m.Exec(key{logit}, func(in []*graph.Node) *graph.Node {
		// over, under, rank, class, the numbers of pixels, the curves, [Points, B]
		v := in[2:]
		v[0], v[1] = m.Cast(v[0]), m.Cast(v[1])
		return model.LoopPart(in[0], in[1], v, func(round *graph.Node, s []*graph.Node) []*graph.Node {
			zero := graph.Sub(round, round)
			count := graph.Reshape(graph.DynamicSlice(s[4], []*graph.Node{round}, []int{1}), 1, 1, 1)
			seen := graph.LessThan(s[2], graph.BroadcastToDims(count, s[2].Shape().Dimensions...))
			seen = graph.BroadcastToDims(graph.ExpandAxes(seen, -1), s[0].Shape().Dimensions...)
			logits := m.Call(graph.Where(seen, s[0], s[1])).Logits
			answer := m.ClassProbabilities
			if logit {
				answer = m.ClassLogits
			}
			next := append([]*graph.Node(nil), s...)
			said := graph.ConvertDType(answer(logits, s[3]), dtypes.Float32)
			next[5] = graph.DynamicUpdateSlice(s[5], graph.ExpandAxes(said, 0), []*graph.Node{round, zero})
			return next
		}, m)[5]
	})
	if err != nil {
		return nil, err
	}
	counts := make([]int32, points)
	for i, k := range l.Counts {
		counts[i] = int32(k)
	}
	size := m.ChunkSize(n)
	bar := progress.New(m.Name()+": "+l.Work, n)
	defer bar.Close()
	var curves [][]float64
	var pace paced.Pace
	var placed []*tensors.Tensor // the batch on the device
	defer func() { model.Free(placed...) }()
	for lo := 0; lo < n; lo += size {
		hi := min(lo+size, n)
		model.Free(placed...)
		placed = nil
		var args []any
		for _, t := range []*tensors.Tensor{l.Over, l.Under, l.Ranks, model.ClassTensor(l.Classes)} {
			part, err := model.PlaceRows(t, lo, hi, size)
			if err != nil {
				return nil, err
			}
			args, placed = append(args, part), append(placed, part)
		}
		result := tensors.FromScalarAndDimensions(float32(0), points, size)
		if _, err := pace.Steps(0, points, func(first, end int) (err error) {
			result, err = run.Call1(append(append([]any{int32(first), int32(end)}, args...), counts, result)...)
			return err
		}); interrupt.Is(err) {
			return curves, err
		} else if err != nil {
			return nil, err
		}
		values, err := tensors.CopyFlatData[float32](result)
		if err != nil {
			return nil, err
		}
		for i := range hi - lo {
			curve := make([]float64, points)
			for t := range curve {
				if curve[t] = float64(values[t*size+i]); math.IsNaN(curve[t]) {
					return nil, &NotANumber{lo + i, t}
				}
			}
			curves = append(curves, curve)
		}
		bar.Add(hi - lo)
	}
	return curves, nil
}
