// Package numpy reads what npyio leaves to its callers: arrays of any type and rank, and archives of them, from files
// that may be damaged or hostile.
package numpy

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/sbinet/npyio/npy"
)

// ReadInts reads the integers of a .npy file, [N] or [N, K] row by row, and their shape. Its errors name the file.
func ReadInts(file string) (values, shape []int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	header, err := Header(f)
	if err != nil {
		return nil, nil, err
	}
	begin, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	// A damaged header must not cost memory that the file does not fill.
	left := info.Size() - begin
	for _, n := range append([]int{max(1, width(header))}, header.Descr.Shape...) {
		if left /= int64(max(n, 1)); left == 0 {
			return nil, nil, fmt.Errorf("%s is cut short: it should have the shape %v", file, header.Descr.Shape)
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	r, err := npy.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	values, err = Ints(r.Header, r.Read)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return values, header.Descr.Shape, nil
}

// Header reads that of a .npy file, behind which its numbers begin.
func Header(f *os.File) (h npy.Header, err error) {
	defer func() {
		if r := recover(); r != nil { // npyio trusts a header
			err = fmt.Errorf("%s is not a NumPy file that is whole: its header is damaged", f.Name())
		}
	}()
	r, err := npy.NewReader(f)
	if err != nil {
		return h, fmt.Errorf("%s is not a NumPy file that is whole (numpy.save writes one): %w", f.Name(), err)
	}
	return r.Header, nil
}

// width is how many bytes a number has, 0 where it is not to be seen.
func width(h npy.Header) int {
	n, _ := strconv.Atoi(strings.TrimLeft(h.Descr.Type, "<>|=iuf"))
	return n
}

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
	case "u4":
		return from[uint32](read)
	case "i4":
		return from[int32](read)
	case "u8":
		return from[uint64](read)
	case "i8":
		return from[int64](read)
	}
	return nil, fmt.Errorf("it is of type %s, not of integers: save it with astype(int)", header.Descr.Type)
}

// from may make what is past the largest int negative, which whoever asked for classes refuses.
func from[T uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64](read func(ptr any) error) ([]int, error) {
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
