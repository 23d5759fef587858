// Package rows cuts tensors along their first axis and joins them again, so that any
// number of images can go through a program compiled for one batch size.
package rows

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Take copies rows lo to hi (excluded) of t into a tensor of size rows; the last row is repeated to
// fill it, because a copy of real data cannot raise an error or a NaN that the data itself does not.
func Take(t *tensors.Tensor, lo, hi, size int) (*tensors.Tensor, error) {
	if t == nil || t.Rank() == 0 {
		return nil, fmt.Errorf("rows: there is no tensor to take rows of: it is nil, or a scalar")
	}
	n := t.Shape().Dimensions[0]
	if lo < 0 || hi > n || lo >= hi || size < hi-lo {
		return nil, fmt.Errorf("rows: cannot take rows %d to %d of %d into %d", lo, hi, n, size)
	}
	if lo == 0 && hi == n && size == n {
		return t, nil
	}
	out := tensors.FromShape(withRows(t.Shape(), size))
	err := t.ConstBytes(func(from []byte) {
		width := len(from) / n
		if inner := out.MutableBytes(func(to []byte) {
			copied := copy(to, from[lo*width:hi*width])
			for copied < len(to) {
				copied += copy(to[copied:], from[(hi-1)*width:hi*width])
			}
		}); inner != nil {
			panic(inner)
		}
	})
	return out, err
}

// Pick copies the rows of t with these numbers, in this order.
func Pick(t *tensors.Tensor, at []int) (*tensors.Tensor, error) {
	if t == nil || t.Rank() == 0 {
		return nil, fmt.Errorf("rows: there is no tensor to take rows of: it is nil, or a scalar")
	}
	n := t.Shape().Dimensions[0]
	for _, i := range at {
		if i < 0 || i >= n {
			return nil, fmt.Errorf("rows: there is no row %d of %d", i, n)
		}
	}
	out := tensors.FromShape(withRows(t.Shape(), len(at)))
	err := t.ConstBytes(func(from []byte) {
		width := len(from) / n
		if inner := out.MutableBytes(func(to []byte) {
			for k, i := range at {
				copy(to[k*width:(k+1)*width], from[i*width:(i+1)*width])
			}
		}); inner != nil {
			panic(inner)
		}
	})
	return out, err
}

// Join collects the first rows of several tensors into one of n rows.
type Join struct {
	n, filled int
	out       *tensors.Tensor
}

// NewJoin starts a tensor of n rows.
func NewJoin(n int) *Join { return &Join{n: n} }

// Add appends the first count rows of part, which is used up: what it has on the device is given back.
func (j *Join) Add(part *tensors.Tensor, count int) error {
	shape := part.Shape()
	if shape.Rank() == 0 || shape.Dimensions[0] < count {
		return fmt.Errorf("rows: a result of shape %s does not have one row for each of %d images", shape, count)
	}
	if j.out == nil {
		if j.filled == 0 && count == j.n && shape.Dimensions[0] == j.n {
			j.out, j.filled = part, count
			if part.IsOnAnyDevice() {
				return part.ToLocal()
			}
			return nil
		}
		j.out = tensors.FromShape(withRows(shape, j.n))
	}
	var err error
	if inner := part.ConstBytes(func(from []byte) {
		err = j.out.MutableBytes(func(to []byte) {
			width := len(to) / j.n
			copy(to[j.filled*width:], from[:count*width])
		})
	}); inner != nil {
		return inner
	}
	j.filled += count
	if err != nil {
		return err
	}
	return part.FinalizeAll()
}

// Tensor returns the rows filled so far, all n unless the work was stopped; nil if there are none.
func (j *Join) Tensor() (*tensors.Tensor, error) {
	if j.filled == 0 {
		return nil, nil
	}
	return Take(j.out, 0, j.filled, j.filled)
}

func withRows(shape shapes.Shape, n int) shapes.Shape {
	dims := append([]int{n}, shape.Dimensions[1:]...)
	return shapes.Make(shape.DType, dims...)
}
