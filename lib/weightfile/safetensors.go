package weightfile

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/safetensors"
)

// readSafetensors reads the floating-point tensors of a .safetensors file.
func readSafetensors(path string) (map[string]*tensors.Tensor, error) {
	arrays, _, _, err := safetensors.Read(path)
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return nil, fmt.Errorf("weightfile: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("weightfile: %s is not a whole safetensors file: %w", path, err)
	}
	return floats(path, arrays)
}

// floats are the floating-point ones among a file's arrays, in single precision.
func floats(path string, arrays map[string]*tensors.Tensor) (map[string]*tensors.Tensor, error) {
	weights := map[string]*tensors.Tensor{}
	for name, t := range arrays {
		if w, err := single(t); err != nil {
			return nil, fmt.Errorf("weightfile: %s: %s: %w", path, name, err)
		} else if w != nil {
			weights[name] = w
		}
	}
	if len(weights) == 0 {
		return nil, fmt.Errorf("weightfile: %s holds no floating-point weights", path)
	}
	return weights, nil
}

// single is a tensor in single precision; nil if it holds no floating-point numbers.
func single(t *tensors.Tensor) (*tensors.Tensor, error) {
	switch t.DType() {
	case dtypes.Float32:
		return t, nil
	case dtypes.Float64:
		return converted(t, func(v float64) float32 { return float32(v) })
	case dtypes.Float16:
		return converted(t, float16.Float16.Float32)
	case dtypes.BFloat16:
		return converted(t, bfloat16.BFloat16.Float32)
	}
	return nil, nil
}

func converted[T float64 | float16.Float16 | bfloat16.BFloat16](t *tensors.Tensor, to func(T) float32) (*tensors.Tensor,
	error) {
	flat := make([]float32, t.Size())
	err := tensors.ConstFlatData(t, func(values []T) {
		for i, v := range values {
			flat[i] = to(v)
		}
	})
	return tensors.FromFlatDataAndDimensions(flat, t.Shape().Dimensions...), err
}
