// Package numpy reads what npyio leaves to its callers: arrays of integers of any size.
package numpy

import (
	"fmt"
	"strings"

	"github.com/sbinet/npyio/npy"
)

// Ints reads an array of integers of any type, [N] or [N, K] row by row.
func Ints(header npy.Header, read func(ptr any) error) ([]int, error) {
	if header.Descr.Fortran && len(header.Descr.Shape) > 1 {
		return nil, fmt.Errorf("it lies column by column (Fortran order): save it with numpy.ascontiguousarray")
	}
	switch kind := strings.TrimLeft(header.Descr.Type, "<>|="); kind {
	case "u1":
		return from[uint8](read)
	case "i1":
		return from[int8](read)
	case "u2":
		return from[uint16](read)
	case "i2":
		return from[int16](read)
	case "i4":
		return from[int32](read)
	case "i8":
		return from[int64](read)
	}
	return nil, fmt.Errorf("it is of type %s, not of integers (8, 16, 32 or 64 bits)", header.Descr.Type)
}

func from[T uint8 | int8 | uint16 | int16 | int32 | int64](read func(ptr any) error) ([]int, error) {
	var values []T
	if err := read(&values); err != nil {
		return nil, fmt.Errorf("it is cut short: %w", err)
	}
	out := make([]int, len(values))
	for i, v := range values {
		out[i] = int(v)
	}
	return out, nil
}
