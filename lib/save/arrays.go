package save

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/internal/numpy"
	"github.com/loupeml/loupe/lib/table"
)

// arraysOf is a value as named arrays. One array alone is called "data".
func arraysOf(v any) (map[string]*tensors.Tensor, map[string]string, error) {
	switch v := v.(type) {
	case Arrayer:
		return v.Arrays()
	case map[string]*tensors.Tensor:
		for name, t := range v {
			if t == nil {
				return nil, nil, fmt.Errorf("the array %q is nil", name)
			}
		}
		return v, nil, nil
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Map && r.Type().Key().Kind() == reflect.String {
		arrays := map[string]*tensors.Tensor{}
		for _, key := range r.MapKeys() {
			t, err := arrayOf(r.MapIndex(key).Interface())
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", key, err)
			}
			arrays[key.String()] = t
		}
		return arrays, nil, nil
	}
	switch v.(type) {
	case table.Table, *table.Table, Tabler, sureTabler:
		return columnsOf(v)
	}
	t, err := arrayOf(v)
	if err != nil {
		return nil, nil, err
	}
	return map[string]*tensors.Tensor{"data": t}, nil, nil
}

// columnsOf are the columns of a table as a .csv file has them: numbers, NaN where there is none, and booleans as
// arrays by their names, and words, for which there are no arrays, as metadata, each a JSON list.
func columnsOf(v any) (map[string]*tensors.Tensor, map[string]string, error) {
	t, _, err := tableOf(v)
	if err != nil {
		return nil, nil, err
	}
	if len(t.Rows) == 0 {
		return nil, nil, fmt.Errorf("the table of a %T has no rows", v)
	}
	arrays, words := map[string]*tensors.Tensor{}, map[string]string{}
	column := make([]string, len(t.Rows))
	for c, name := range t.Header {
		if _, twice := words[name]; twice || arrays[name] != nil {
			return nil, nil, fmt.Errorf("two columns of a %T are called %q", v, name)
		}
		for i, row := range t.Rows {
			column[i] = ""
			if c < len(row) {
				column[i] = csvCell(row[c])
			}
		}
		cells := typed(column)
		switch cells[0].(type) {
		case int:
			arrays[name], err = arrayOf(of[int](cells))
		case float64:
			arrays[name], err = arrayOf(of[float64](cells))
		case bool:
			arrays[name], err = arrayOf(of[bool](cells))
		default:
			var list []byte
			if list, err = json.Marshal(column); err == nil {
				words[name] = string(list)
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(arrays) == 0 {
		return nil, nil, fmt.Errorf("the table of a %T has no numbers", v)
	}
	if len(words) == 0 {
		words = nil
	}
	return arrays, words, nil
}

// of are cells of one type.
func of[T any](cells []any) []T {
	out := make([]T, len(cells))
	for i, cell := range cells {
		out[i], _ = cell.(T)
	}
	return out
}

// arrayOf is a value as one array of numbers.
func arrayOf(v any) (*tensors.Tensor, error) {
	switch v := v.(type) {
	case *tensors.Tensor:
		if v == nil {
			return nil, fmt.Errorf("the tensor is nil")
		}
		return v, v.CheckValid()
	case mat.Matrix:
		rows, columns := v.Dims()
		flat := make([]float64, 0, rows*columns)
		for i := range rows {
			for k := range columns {
				flat = append(flat, v.At(i, k))
			}
		}
		return tensors.FromFlatDataAndDimensions(flat, rows, columns), nil
	}
	of := reflect.TypeOf(v)
	if of == nil {
		return nil, fmt.Errorf("the array is nil")
	}
	for of.Kind() == reflect.Slice || of.Kind() == reflect.Array {
		of = of.Elem()
	}
	if k := of.Kind(); k != reflect.Bool && (k < reflect.Int || k > reflect.Float64 || k == reflect.Uintptr) {
		return nil, fmt.Errorf("a %T is no array of numbers", v)
	}
	flat := reflect.MakeSlice(reflect.SliceOf(basic(of)), 0, 0)
	shape, flat, err := flatten(reflect.ValueOf(v), flat)
	if err != nil {
		return nil, err
	}
	dtype := dtypes.FromGoType(basic(of))
	if dtype == dtypes.InvalidDType {
		return nil, fmt.Errorf("a %T is no array of numbers", v)
	}
	t := tensors.FromShape(shapes.Make(dtype, shape...))
	if t.Size() == 0 {
		return t, nil
	}
	err = t.MutableFlatData(func(to any) { reflect.Copy(reflect.ValueOf(to), flat) })
	return t, err
}

// basic is the built-in type below one; int and uint, whose size depends on the machine, are int64 and uint64.
func basic(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Bool:
		return reflect.TypeFor[bool]()
	case reflect.Int, reflect.Int64:
		return reflect.TypeFor[int64]()
	case reflect.Int8:
		return reflect.TypeFor[int8]()
	case reflect.Int16:
		return reflect.TypeFor[int16]()
	case reflect.Int32:
		return reflect.TypeFor[int32]()
	case reflect.Uint, reflect.Uint64:
		return reflect.TypeFor[uint64]()
	case reflect.Uint8:
		return reflect.TypeFor[uint8]()
	case reflect.Uint16:
		return reflect.TypeFor[uint16]()
	case reflect.Uint32:
		return reflect.TypeFor[uint32]()
	case reflect.Float32:
		return reflect.TypeFor[float32]()
	}
	return reflect.TypeFor[float64]()
}

// flatten appends nested slices' numbers to flat, and returns their shape: all slices of a level have one length.
func flatten(v, flat reflect.Value) (shape []int, all reflect.Value, err error) {
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return nil, reflect.Append(flat, v.Convert(flat.Type().Elem())), nil
	}
	shape = []int{v.Len()}
	var inner []int
	for i := range v.Len() {
		var part []int
		if part, flat, err = flatten(v.Index(i), flat); err != nil {
			return nil, flat, err
		}
		if i > 0 && !slices.Equal(part, inner) {
			return nil, flat, fmt.Errorf("the rows differ in length: %v in the first and %v in row %d", inner, part, i)
		}
		inner = part
	}
	return append(shape, inner...), flat, nil
}

func writeNPY(w io.Writer, v any) error {
	arrays, metadata, err := arraysOf(v)
	if err != nil {
		return err
	}
	if len(arrays) != 1 || len(metadata) > 0 {
		return fmt.Errorf("a %T is more than one array, and .npy holds one: save it as .npz or .safetensors", v)
	}
	for _, t := range arrays {
		return writeArray(w, t)
	}
	return nil
}

// writeArray writes NumPy's format, version 1.0. npyio reads arrays of any rank, but writes vectors and matrices only.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
func writeArray(w io.Writer, t *tensors.Tensor) error {
	kind, ok := numpy.Types[t.DType()]
	if !ok {
		return fmt.Errorf("NumPy has no numbers of the type %s: save it as .safetensors", t.DType())
	}
	var dims strings.Builder
	for _, n := range t.Shape().Dimensions {
		fmt.Fprintf(&dims, "%d, ", n)
	}
	shape := dims.String()
	if t.Rank() > 1 {
		shape = strings.TrimSuffix(shape, ", ")
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", kind, strings.TrimSuffix(shape, " "))
	const before = 10                                                       // bytes
	header += strings.Repeat(" ", (64-(before+len(header)+1)%64)%64) + "\n" // so that the numbers are aligned
	if len(header) > 1<<16-1 {
		return fmt.Errorf("an array of rank %d", t.Rank())
	}
	if _, err := io.WriteString(w, "\x93NUMPY\x01\x00"); err != nil {
		return err
	}
	if err := binary.Write(w, binary.LittleEndian, uint16(len(header))); err != nil {
		return err
	}
	if _, err := io.WriteString(w, header); err != nil {
		return err
	}
	var failed error
	if err := t.ConstBytes(func(data []byte) { _, failed = w.Write(data) }); err != nil {
		return err
	}
	return failed
}

func writeNPZ(w io.Writer, v any) error {
	arrays, metadata, err := arraysOf(v)
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	if len(metadata) > 0 {
		text, err := json.MarshalIndent(metadata, "", "  ")
		if err != nil {
			return err
		}
		entry, err := z.Create(numpy.MetadataFile)
		if err != nil {
			return err
		}
		if _, err := entry.Write(text); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		entry, err := z.Create(name + ".npy")
		if err != nil {
			return err
		}
		if err := writeArray(entry, arrays[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return z.Close()
}
