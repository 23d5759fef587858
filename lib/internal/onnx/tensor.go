package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/dtypes/gotype"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/regular"
)

// TensorProto's data types.
const (
	kindFloat    = 1
	kindUint8    = 2
	kindInt8     = 3
	kindInt32    = 6
	kindInt64    = 7
	kindString   = 8
	kindBool     = 9
	kindFloat16  = 10
	kindDouble   = 11
	kindBFloat16 = 16
	kindUint4    = 21
	kindInt4     = 22
)

// element is how a data type lies in a file and what it becomes here. Half precision becomes single, as onnxruntime
// computes on a CPU; four bits become eight.
type element struct {
	name  string
	bytes int // of a value in raw data; 0 where two share a byte
	dtype dtypes.DType
}

var elements = map[int]element{
	kindFloat: {"float32", 4, dtypes.Float32}, kindUint8: {"uint8", 1, dtypes.Uint8}, kindInt8: {"int8", 1, dtypes.Int8},
	4: {"uint16", 2, dtypes.Uint16}, 5: {"int16", 2, dtypes.Int16}, kindInt32: {"int32", 4, dtypes.Int32},
	kindInt64: {"int64", 8, dtypes.Int64},
	kindBool:  {"bool", 1, dtypes.Bool}, kindFloat16: {"float16", 2, dtypes.Float32},
	kindDouble: {"float64", 8, dtypes.Float64},
	12:         {"uint32", 4, dtypes.Uint32}, 13: {"uint64", 8, dtypes.Uint64},
	kindBFloat16: {"bfloat16", 2, dtypes.Float32},
	kindUint4:    {"uint4", 0, dtypes.Uint8}, kindInt4: {"int4", 0, dtypes.Int8},
}

// kindNames are those of the data types that are not read.
var kindNames = map[int]string{
	0: "of no type", kindString: "text", 14: "complex64", 15: "complex128", 17: "float8e4m3fn", 18: "float8e4m3fnuz",
	19: "float8e5m2", 20: "float8e5m2fnuz",
	23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2",
}

// kindName is a data type's name for a message.
func kindName(kind int) string {
	if e, ok := elements[kind]; ok {
		return e.name
	}
	if name, ok := kindNames[kind]; ok {
		return name
	}
	return fmt.Sprintf("of the data type %d", kind)
}

// sizeLimit is how many numbers a tensor of a file may have.
const sizeLimit = 1 << 32

// shape is a tensor's type and shape, checked.
func (t *tensorProto) shape() (shapes.Shape, error) {
	e, ok := elements[t.kind]
	if !ok {
		return shapes.Shape{}, fmt.Errorf("the tensor %s is %s, which is not read", t.name, kindName(t.kind))
	}
	dims := make([]int, len(t.dims))
	size := int64(1)
	for i, d := range t.dims {
		if d < 0 || d > 0 && size > sizeLimit/d {
			return shapes.Shape{}, fmt.Errorf("the tensor %s says that it is %v", t.name, t.dims)
		}
		dims[i] = int(d)
		size *= d
	}
	return shapes.Make(e.dtype, dims...), nil
}

// given is how many bytes a tensor has in the file itself, in raw data, or how many values in its lists.
func (t *tensorProto) check() error {
	shape, err := t.shape()
	if err != nil || t.external != nil {
		return err
	}
	size, e := shape.Size(), elements[t.kind]
	has, needs := len(t.raw), size*e.bytes
	if e.bytes == 0 {
		needs = (size + 1) / 2
	}
	if t.raw == nil {
		has, needs = len(t.floats)+len(t.ints)+len(t.doubles)+len(t.unsigned), size
		if e.bytes == 0 {
			needs = (size + 1) / 2 // packed as in raw data, one pair a number
			if has == size {
				needs = size
			}
		}
	}
	if has != needs {
		return fmt.Errorf("the tensor %s says that it is %v %s, and the file has %d of %d %s of it", t.name, t.dims, e.name,
			has, needs, map[bool]string{true: "values", false: "bytes"}[t.raw == nil])
	}
	return nil
}

// load reads a tensor's values, from the file or from one in its folder.
func (t *tensorProto) load(path string) (*tensors.Tensor, error) {
	shape, err := t.shape()
	if err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	raw := t.raw
	if t.external != nil {
		if raw, err = t.readExternal(path, shape.Size()); err != nil {
			return nil, err
		}
	}
	n := shape.Size()
	switch t.kind {
	case kindFloat:
		return fill(shape, t.floats, raw, n, 4, func(b []byte) float32 {
			return math.Float32frombits(binary.LittleEndian.Uint32(b))
		})
	case kindDouble:
		return fill(shape, t.doubles, raw, n, 8, func(b []byte) float64 {
			return math.Float64frombits(binary.LittleEndian.Uint64(b))
		})
	case kindFloat16:
		return fill(shape, mapped(t.ints, func(v int64) float32 { return float16.FromBits(uint16(v)).Float32() }), raw, n, 2,
			func(b []byte) float32 { return float16.FromBits(binary.LittleEndian.Uint16(b)).Float32() })
	case kindBFloat16:
		return fill(shape, mapped(t.ints, func(v int64) float32 { return bfloat16.FromBits(uint16(v)).Float32() }), raw, n, 2,
			func(b []byte) float32 { return bfloat16.FromBits(binary.LittleEndian.Uint16(b)).Float32() })
	case kindInt64:
		return fill(shape, t.ints, raw, n, 8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) })
	case kindInt32:
		return fill(shape, mapped(t.ints, func(v int64) int32 { return int32(v) }), raw, n, 4,
			func(b []byte) int32 { return int32(binary.LittleEndian.Uint32(b)) })
	case 5:
		return fill(shape, mapped(t.ints, func(v int64) int16 { return int16(v) }), raw, n, 2,
			func(b []byte) int16 { return int16(binary.LittleEndian.Uint16(b)) })
	case 4:
		return fill(shape, mapped(t.ints, func(v int64) uint16 { return uint16(v) }), raw, n, 2, binary.LittleEndian.Uint16)
	case kindInt8:
		return fill(shape, mapped(t.ints, func(v int64) int8 { return int8(v) }), raw, n, 1,
			func(b []byte) int8 { return int8(b[0]) })
	case kindUint8:
		return fill(shape, mapped(t.ints, func(v int64) uint8 { return uint8(v) }), raw, n, 1,
			func(b []byte) uint8 { return b[0] })
	case kindBool:
		return fill(shape, mapped(t.ints, func(v int64) bool { return v != 0 }), raw, n, 1,
			func(b []byte) bool { return b[0] != 0 })
	case 12:
		return fill(shape, mapped(t.unsigned, func(v uint64) uint32 { return uint32(v) }), raw, n, 4,
			binary.LittleEndian.Uint32)
	case 13:
		return fill(shape, t.unsigned, raw, n, 8, binary.LittleEndian.Uint64)
	}
	// Two values in a byte, the first one in the lower bits.
	if raw == nil {
		raw = mapped(t.ints, func(v int64) byte { return byte(v) })
		if len(raw) == n && n > 1 {
			for i, v := range raw { // one value a number
				raw[i] = v & 15
			}
			return nibbles(shape, t.kind, raw), nil
		}
	}
	apart := make([]byte, n)
	for i := range apart {
		apart[i] = raw[i/2] >> (4 * (i % 2)) & 15
	}
	return nibbles(shape, t.kind, apart), nil
}

// nibbles makes a tensor of values in 0..15.
func nibbles(shape shapes.Shape, kind int, values []byte) *tensors.Tensor {
	if kind == kindUint4 {
		return tensors.FromFlatDataAndDimensions(values, shape.Dimensions...)
	}
	return tensors.FromFlatDataAndDimensions(mapped(values, func(v byte) int8 { return int8(v<<4) >> 4 }),
		shape.Dimensions...)
}

func mapped[A, B any](values []A, f func(A) B) []B {
	out := make([]B, len(values))
	for i, v := range values {
		out[i] = f(v)
	}
	return out
}

// fill makes a tensor of the values of a list, or of raw data.
func fill[T gotype.Supported](shape shapes.Shape, list []T, raw []byte, n, width int,
	value func([]byte) T) (*tensors.Tensor, error) {
	values := list
	if raw != nil {
		if len(raw) != n*width {
			return nil, errors.New("the raw data has another size")
		}
		values = make([]T, n)
		for i := range values {
			values[i] = value(raw[i*width : (i+1)*width])
		}
	}
	return tensors.FromFlatDataAndDimensions(slices.Clip(values), shape.Dimensions...), nil
}

// readExternal reads values that lie in another file. It refuses one that is not in the folder of the ONNX file. Links
// count for what they lead to, and a file that is itself reached by a link, as in a download cache, may have its data
// beside its real place.
func (t *tensorProto) readExternal(path string, size int) ([]byte, error) {
	location := t.external["location"]
	var numbers [2]int64
	for i, key := range []string{"offset", "length"} {
		if text, ok := t.external[key]; ok {
			v, err := strconv.ParseInt(text, 10, 64)
			if err != nil || v < 0 {
				return nil, fmt.Errorf("the place of the weights %s in %s is damaged: %s %q", t.name, location, key, text)
			}
			numbers[i] = v
		}
	}
	needs := int64(size) * int64(elements[t.kind].bytes)
	if elements[t.kind].bytes == 0 {
		needs = int64(size+1) / 2
	}
	if _, ok := t.external["length"]; ok && numbers[1] != needs {
		return nil, fmt.Errorf("the weights %s are %v %s, %d bytes, and have %d in %s", t.name, t.dims, kindName(t.kind),
			needs, numbers[1], location)
	}
	folder := filepath.Dir(path)
	outside := fmt.Errorf("it names %q for the weights %s, which lies outside of its folder", location, t.name)
	if !filepath.IsLocal(location) {
		return nil, outside
	}
	real, err := filepath.EvalSymlinks(filepath.Join(folder, location))
	if err != nil {
		return nil, fmt.Errorf("it keeps the weights %s in %q, which is not there: %w", t.name, location, err)
	}
	self, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	home, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, err
	}
	within := func(dir string) bool {
		below, err := filepath.Rel(dir, real)
		return err == nil && filepath.IsLocal(below)
	}
	if !within(home) && !within(filepath.Dir(self)) {
		return nil, outside
	}
	file, have, err := regular.Open(real)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if numbers[0] > have || have-numbers[0] < needs {
		return nil, fmt.Errorf("%s is shorter than the weights %s need", location, t.name)
	}
	raw := make([]byte, needs)
	_, err = file.ReadAt(raw, numbers[0])
	return raw, err
}
