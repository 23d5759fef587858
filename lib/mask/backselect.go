package mask

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
)

// BackSelection is the order in which BackSelect masked the positions of an input: each time the one without which the
// function stays largest, of equals the first.
type BackSelection struct {
	// Order has the positions, the one masked first in front.
	Order []int
	// ValueAfter has the function's value after each was masked too.
	ValueAfter []float64
	// Start is the value before the first was masked.
	Start float64
}

// FindSIS goes back from the position masked last until the function reaches the threshold, and returns the positions
// that takes, the one masked last in front; none where the function reaches it with everything masked. Carter
// et al., "What made you do this?", AISTATS 2019, algorithm FindSIS.
func (b BackSelection) FindSIS(threshold float64) []int {
	var sis []int
	for i := len(b.Order) - 1; i >= 0 && b.ValueAfter[i] < threshold; i-- {
		sis = append(sis, b.Order[i])
	}
	return sis
}

// valueOf is the function's value on the last n positions alone.
func (b BackSelection) valueOf(n int) float64 {
	if n == len(b.Order) {
		return b.Start
	}
	return b.ValueAfter[len(b.Order)-n-1]
}

// A masked evaluates a function on one input under many masks at once.
type masked struct {
	positions int
	size      int // candidates a call
	// run returns the function's values, [size] float32: one for each candidate, an index of the position that is
	// masked besides those that are 0 in mask, [positions] float32; -1 masks none.
	run func(mask, candidates *tensors.Tensor) (*tensors.Tensor, error)
	// evaluated is told how many more evaluations are done; nil if nobody wants to know.
	evaluated func(n int)
}

// values evaluates the function for each candidate.
func (f masked) values(mask []float32, candidates []int) ([]float32, error) {
	var values []float32
	on := tensors.FromFlatDataAndDimensions(mask, len(mask))
	for lo := 0; lo < len(candidates); lo += f.size {
		if err := interrupt.Err(); err != nil {
			return nil, err
		}
		hi := min(lo+f.size, len(candidates))
		part := make([]int32, f.size)
		for i := range part {
			part[i] = int32(candidates[min(lo+i, hi-1)])
		}
		result, err := f.run(on, tensors.FromFlatDataAndDimensions(part, f.size))
		if err != nil {
			return nil, err
		}
		got, err := tensors.CopyFlatData[float32](result)
		if err != nil {
			return nil, fmt.Errorf("mask: %w", err)
		}
		for i, v := range got[:hi-lo] {
			if math.IsNaN(float64(v)) {
				return nil, fmt.Errorf("mask: the function is not a number with position %d masked", candidates[lo+i])
			}
		}
		values = append(values, got[:hi-lo]...)
		if f.evaluated != nil {
			f.evaluated(hi - lo)
		}
	}
	return values, nil
}

// value evaluates the function under one mask.
func (f masked) value(mask []float32) (float64, error) {
	values, err := f.values(mask, []int{-1})
	if err != nil {
		return 0, err
	}
	return float64(values[0]), nil
}

// backSelect masks the positions that are 1 in mask one by one. Interrupted, it returns what it has.
func (f masked) backSelect(mask []float32) (BackSelection, error) {
	var b BackSelection
	var err error
	if b.Start, err = f.value(mask); err != nil {
		return b, err
	}
	mask = append([]float32(nil), mask...)
	for {
		var left []int
		for p, on := range mask {
			if on != 0 {
				left = append(left, p)
			}
		}
		if len(left) == 0 {
			return b, nil
		}
		values, err := f.values(mask, left)
		if err != nil {
			return b, err
		}
		best := 0
		for i, v := range values {
			if v > values[best] {
				best = i
			}
		}
		mask = append([]float32(nil), mask...) // the last one may still be on its way to the device
		mask[left[best]] = 0
		b.Order = append(b.Order, left[best])
		b.ValueAfter = append(b.ValueAfter, float64(values[best]))
	}
}

// candidateMasks are mask, [P], without one further position each: [S, P]. A candidate of -1 takes none.
func candidateMasks(mask, candidates *graph.Node) *graph.Node {
	s, p := candidates.Shape().Dimensions[0], mask.Shape().Dimensions[0]
	at := graph.Iota(mask.Graph(), mask.Shape().Clone(), 0)
	stays := graph.NotEqual(graph.ExpandAxes(at, 0), graph.ConvertDType(graph.ExpandAxes(candidates, 1), dtypes.Float32))
	return graph.Mul(graph.BroadcastToDims(graph.ExpandAxes(mask, 0), s, p), graph.ConvertDType(stays, dtypes.Float32))
}
