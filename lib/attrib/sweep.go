package attrib

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// sweep is the loop that methods share which evaluate every image many times: at the
// steps of a path, under draws of noise, behind windows. It sums over the evaluations on the device.
type sweep struct {
	m           *model.Model
	label       string
	evaluations int // for each image
}

// device is one batch on its way through a sweep.
type device struct {
	inputs []any // the batch's rows of each input, ready to be arguments
	size   int   // rows of the batch, the copies that fill it up included
	lo, hi int   // which images they are
}

// run cuts inputs, each with a row for each image, into batches, and calls step for each batch until
// all evaluations are done: step does count evaluations, from the first-th on, of every image of
// the batch in one device program, adding to sum, and returns the new sum. The count is the same every
// time, so that one program does; evaluations past the last are step's to weigh with zero. start makes the zero sum.
//
// Interrupted, it returns the sums of the images that are done beside the error; nil if none is.
func (s sweep) run(inputs []*tensors.Tensor, start func(size int) *tensors.Tensor,
	step func(d device, sum *tensors.Tensor, first, count int) (*tensors.Tensor, error)) (*tensors.Tensor, error) {
	n := inputs[0].Shape().Dimensions[0]
	size := s.m.ChunkSize(n)
	count := s.perCall(size)
	join := rows.NewJoin(n)
	bar := progress.New(s.m.Name()+": "+s.label, n*s.evaluations)
	defer bar.Close()
	var stopped error
	var placed []*tensors.Tensor // the batch on the device
	defer func() { model.Free(placed...) }()
images:
	for lo := 0; lo < n; lo += size {
		model.Free(placed...)
		placed = nil
		d := device{size: size, lo: lo, hi: min(lo+size, n)}
		for _, t := range inputs {
			part, err := model.PlaceRows(t, d.lo, d.hi, size)
			if err != nil {
				return nil, err
			}
			placed = append(placed, part)
			d.inputs = append(d.inputs, part)
		}
		sum := start(size)
		for first := 0; first < s.evaluations; first += count {
			if stopped = interrupt.Err(); stopped != nil {
				stopped = interrupt.After(stopped, "attrib: "+s.label, lo, n, "images")
				break images
			}
			next, err := step(d, sum, first, count)
			if err != nil {
				return nil, fmt.Errorf("attrib: %s: %w", s.label, err)
			}
			model.Free(sum)
			sum = next
			bar.Add((d.hi - d.lo) * min(count, s.evaluations-first))
		}
		if err := join.Add(sum, d.hi-d.lo); err != nil {
			return nil, err
		}
	}
	sums, err := join.Tensor()
	if err != nil {
		return nil, err
	}
	return sums, stopped
}

// perCall is how many evaluations of each of size images fill the model's batch, evened out over the calls.
func (s sweep) perCall(size int) int {
	full := s.m.ChunkSize(1 << 30)
	most := max(1, full/size)
	calls := (s.evaluations + most - 1) / most
	return (s.evaluations + calls - 1) / calls
}

// window copies values[first:first+count] into a vector of count, with zeros past the end.
func window(values []float64, first, count int) *tensors.Tensor {
	part := make([]float64, count)
	copy(part, values[min(first, len(values)):min(first+count, len(values))])
	return tensors.FromFlatDataAndDimensions(part, count)
}

// zerosLike returns a function that makes a zero tensor with a given number of rows and the other axes of t.
func zerosLike(t *tensors.Tensor) func(size int) *tensors.Tensor {
	dims := append([]int(nil), t.Shape().Dimensions...)
	return func(size int) *tensors.Tensor {
		dims[0] = size
		return tensors.FromScalarAndDimensions(float32(0), dims...)
	}
}
