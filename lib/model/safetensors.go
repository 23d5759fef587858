package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"
)

// readSafetensors reads the floating-point tensors of a .safetensors file: eight bytes with the
// length of a JSON header, the header, the data. https://github.com/huggingface/safetensors#format
//
// GoMLX's own reader takes its files from a model hub only.
func readSafetensors(path string) (map[string]*tensors.Tensor, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	broken := func(format string, args ...any) (map[string]*tensors.Tensor, error) {
		return nil, fmt.Errorf("model: %s is not a whole safetensors file: %s", path, fmt.Sprintf(format, args...))
	}
	if len(raw) < 8 {
		return broken("it has %d bytes", len(raw))
	}
	length := binary.LittleEndian.Uint64(raw)
	if length > uint64(len(raw)-8) {
		return broken("its header should have %d bytes and the file has %d", length, len(raw))
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(raw[8:8+length], &header); err != nil {
		return broken("%v", err)
	}
	data := raw[8+length:]
	weights := map[string]*tensors.Tensor{}
	for name, entry := range header {
		if name == "__metadata__" {
			continue
		}
		var info struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(entry, &info); err != nil {
			return broken("%s: %v", name, err)
		}
		width := map[string]int{"F64": 8, "F32": 4, "F16": 2, "BF16": 2}[info.DType]
		if width == 0 {
			continue
		}
		total := 1
		for _, n := range info.Shape {
			if n < 0 {
				return broken("%s has the shape %v", name, info.Shape)
			}
			total *= n
		}
		from, to := info.Offsets[0], info.Offsets[1]
		if from < 0 || to < from || to > len(data) {
			return broken("%s ends at byte %d of %d", name, to, len(data))
		}
		if to-from != total*width {
			return broken("%s has %d bytes for the shape %v", name, to-from, info.Shape)
		}
		flat := make([]float32, total)
		for i := range flat {
			at := data[from+i*width:]
			switch info.DType {
			case "F64":
				flat[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(at)))
			case "F32":
				flat[i] = math.Float32frombits(binary.LittleEndian.Uint32(at))
			case "F16":
				flat[i] = float16.FromBits(binary.LittleEndian.Uint16(at)).Float32()
			case "BF16":
				flat[i] = bfloat16.FromBits(binary.LittleEndian.Uint16(at)).Float32()
			}
		}
		weights[name] = tensors.FromFlatDataAndDimensions(flat, info.Shape...)
	}
	if len(weights) == 0 {
		return nil, fmt.Errorf("model: %s holds no floating-point weights", path)
	}
	return weights, nil
}
