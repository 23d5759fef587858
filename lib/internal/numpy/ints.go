// Package numpy reads what npyio leaves to its callers: arrays of any type and rank, and archives of them, from files
// that may be damaged or hostile.
package numpy

import (
	"bytes"
	"fmt"
	"os"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npy"
)

// ReadInts reads the integers of a .npy file, [N] or [N, K] row by row, and their shape. Its errors name the file.
func ReadInts(file string) (values, shape []int, err error) {
	t, err := ReadArray(file)
	if err == nil {
		values, err = Ints(t)
	}
	if err != nil {
		if _, missing := os.Stat(file); missing != nil {
			return nil, nil, err
		}
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return values, t.Shape().Dimensions, nil
}

// Header reads that of a .npy file, behind which its numbers begin.
func Header(f *os.File) (h npy.Header, err error) {
	defer func() {
		if r := recover(); r != nil { // npyio trusts a header
			err = fmt.Errorf("%s: %w: its header is damaged", f.Name(), errDamaged)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return h, err
	}
	head, err := headOf(f, info.Size())
	if err != nil {
		return h, fmt.Errorf("%s: %w (numpy.save writes one)", f.Name(), err)
	}
	r, err := npy.NewReader(bytes.NewReader(head))
	if err != nil {
		return h, fmt.Errorf("%s: %w (numpy.save writes one): %w", f.Name(), errDamaged, err)
	}
	return r.Header, nil
}

// Ints are an array's integers, of whatever type, row by row. What is past the largest int becomes negative, which
// whoever asked for classes refuses.
func Ints(t *tensors.Tensor) ([]int, error) {
	var values []int
	err := t.ConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []uint8:
			values = ints(flat)
		case []int8:
			values = ints(flat)
		case []uint16:
			values = ints(flat)
		case []int16:
			values = ints(flat)
		case []uint32:
			values = ints(flat)
		case []int32:
			values = ints(flat)
		case []uint64:
			values = ints(flat)
		case []int64:
			values = ints(flat)
		}
	})
	if err == nil && values == nil {
		err = fmt.Errorf("it is of type %s, not of integers: save it with astype(int)", t.DType())
	}
	return values, err
}

func ints[T uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64](flat []T) []int {
	out := make([]int, len(flat))
	for i, v := range flat {
		out[i] = int(v)
	}
	return out
}
