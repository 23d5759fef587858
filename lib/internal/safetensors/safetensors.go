// Package safetensors reads and writes .safetensors files: eight bytes with the length of a JSON header, the header,
// the data. https://github.com/huggingface/safetensors#format
//
// GoMLX's own reader takes its files from a model hub only, and nothing writes them.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/regular"
)

// types are the types of numbers that both sides know, by their names in the format.
var types = map[string]dtypes.DType{
	"F64": dtypes.Float64, "F32": dtypes.Float32, "F16": dtypes.Float16, "BF16": dtypes.BFloat16, "BOOL": dtypes.Bool,
	"I64": dtypes.Int64, "I32": dtypes.Int32, "I16": dtypes.Int16, "I8": dtypes.Int8,
	"U64": dtypes.Uint64, "U32": dtypes.Uint32, "U16": dtypes.Uint16, "U8": dtypes.Uint8,
}

// metadataKey is the header's entry that is no tensor.
const metadataKey = "__metadata__"

type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// Read reads a file's tensors by name, and its metadata, which may be nil. Tensors of types that loupe does not know
// are left out: skipped says of each its name and type. Errors do not name the file.
func Read(path string) (arrays map[string]*tensors.Tensor, metadata, skipped map[string]string, err error) {
	raw, err := regular.ReadFile(path)
	if err != nil {
		return nil, nil, nil, err
	}
	header, data, err := split(raw)
	if err != nil {
		return nil, nil, nil, err
	}
	arrays, skipped = map[string]*tensors.Tensor{}, map[string]string{}
	spans := map[string][2]int{}
	for name, value := range header {
		if name == metadataKey {
			if err := json.Unmarshal(value, &metadata); err != nil {
				return nil, nil, nil, fmt.Errorf("its metadata: %w", err)
			}
			continue
		}
		var e entry
		if err := json.Unmarshal(value, &e); err != nil {
			return nil, nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		if e.DType == "" || e.Shape == nil {
			return nil, nil, nil, fmt.Errorf("%s has no type or no shape", name)
		}
		spans[name] = e.Offsets
		dtype, ok := types[e.DType]
		if !ok {
			skipped[name] = e.DType
			continue
		}
		size := dtype.Size()
		for _, n := range e.Shape {
			if n < 0 || n > 0 && size > len(data)/n {
				return nil, nil, nil, fmt.Errorf("%s has the shape %v, and there are %d bytes", name, e.Shape, len(data))
			}
			size *= n
		}
		from, to := e.Offsets[0], e.Offsets[1]
		if from < 0 || to < from || to > len(data) {
			return nil, nil, nil, fmt.Errorf("%s ends at byte %d of %d", name, to, len(data))
		}
		if to-from != size {
			return nil, nil, nil, fmt.Errorf("%s has %d bytes for the shape %v", name, to-from, e.Shape)
		}
		t := tensors.FromShape(shapes.Make(dtype, e.Shape...))
		if err := t.MutableBytes(func(to []byte) { copy(to, data[from:]) }); err != nil {
			return nil, nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		arrays[name] = t
	}
	if err := checkSpans(spans, len(data)); err != nil {
		return nil, nil, nil, err
	}
	return arrays, metadata, skipped, nil
}

// checkSpans refuses tensors that share bytes, and bytes that are no tensor's, as the format does.
func checkSpans(spans map[string][2]int, size int) error {
	names := slices.SortedFunc(maps.Keys(spans), func(a, b string) int {
		return cmp.Or(cmp.Compare(spans[a][0], spans[b][0]), cmp.Compare(spans[a][1], spans[b][1]), cmp.Compare(a, b))
	})
	at, before := 0, ""
	for _, name := range names {
		switch from := spans[name][0]; {
		case from < at:
			return fmt.Errorf("%s and %s share bytes", before, name)
		case from > at:
			return fmt.Errorf("the bytes from %d to %d are no tensor's", at, from)
		}
		at, before = spans[name][1], name
	}
	if at != size {
		return fmt.Errorf("the bytes from %d to %d are no tensor's", at, size)
	}
	return nil
}

// Metadata reads what a file says of itself, nil if nothing, without its tensors. Errors do not name the file.
func Metadata(path string) (map[string]string, error) {
	f, size, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var length uint64
	if err := binary.Read(f, binary.LittleEndian, &length); err != nil {
		return nil, fmt.Errorf("its header's length: %w", err)
	}
	if length > uint64(size) {
		return nil, fmt.Errorf("its header should have %d bytes", length)
	}
	raw := make([]byte, length)
	if _, err := io.ReadFull(f, raw); err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	var header struct {
		Metadata map[string]string `json:"__metadata__"`
	}
	if err := json.Unmarshal(raw, &header); err != nil {
		return nil, err
	}
	return header.Metadata, nil
}

// split takes a file apart.
func split(raw []byte) (header map[string]json.RawMessage, data []byte, err error) {
	if len(raw) < 8 {
		return nil, nil, fmt.Errorf("it has %d bytes", len(raw))
	}
	length := binary.LittleEndian.Uint64(raw)
	if length > uint64(len(raw)-8) {
		return nil, nil, fmt.Errorf("its header should have %d bytes and the file has %d", length, len(raw))
	}
	if err := json.Unmarshal(raw[8:8+length], &header); err != nil {
		return nil, nil, err
	}
	if twice := namedTwice(raw[8 : 8+length]); twice != "" {
		return nil, nil, fmt.Errorf("it has %s twice", twice)
	}
	return header, raw[8+length:], nil
}

// namedTwice is a name that a JSON object has twice, of which encoding/json would take the last; empty if there is
// none.
func namedTwice(object []byte) string {
	d := json.NewDecoder(bytes.NewReader(object))
	known := map[string]bool{}
	_, err := d.Token() // the brace
	for err == nil && d.More() {
		var key json.Token
		if key, err = d.Token(); err == nil {
			name, _ := key.(string)
			if known[name] {
				return name
			}
			known[name] = true
			var value json.RawMessage
			err = d.Decode(&value)
		}
	}
	return ""
}

// Write writes tensors by name and metadata, which may be nil. The same tensors give the same bytes.
func Write(w io.Writer, arrays map[string]*tensors.Tensor, metadata map[string]string) error {
	header := map[string]any{}
	if len(metadata) > 0 {
		header[metadataKey] = metadata
	}
	names := slices.Sorted(maps.Keys(arrays))
	at := 0
	for _, name := range names {
		if name == metadataKey {
			return fmt.Errorf("a tensor cannot be called %s", name)
		}
		t := arrays[name]
		kind := ""
		for n, dtype := range types {
			if dtype == t.DType() {
				kind = n
			}
		}
		if kind == "" {
			return fmt.Errorf("%s holds %s, which the format does not have", name, t.DType())
		}
		end := at + t.Size()*t.DType().Size()
		header[name] = entry{kind, append([]int{}, t.Shape().Dimensions...), [2]int{at, end}}
		at = end
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	text = append(text, bytes.Repeat([]byte{' '}, (8-len(text)%8)%8)...) // so that the data is aligned
	if err := binary.Write(w, binary.LittleEndian, uint64(len(text))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for _, name := range names {
		var failed error
		if err := arrays[name].ConstBytes(func(data []byte) { _, failed = w.Write(data) }); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}
