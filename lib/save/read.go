package save

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/numpy"
	"github.com/loupeml/loupe/lib/internal/safetensors"
)

// Read reads a file by the end of its name:
//
//	.csv               a table.Table whose columns are int, float64 (NaN where a cell is empty), bool or string
//	.json              what encoding/json makes of it: maps, slices, float64, string, bool, nil
//	.npy               a *tensors.Tensor
//	.npz .safetensors  a map[string]*tensors.Tensor
//
// It is an error if an array lies column by column (Fortran's order). A model is loaded by loupe.Load.
func Read(path string) (any, error) {
	v, err := read(path)
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return nil, fmt.Errorf("save: %w", err)
	}
	if err != nil {
		return nil, failure.OneLine(fmt.Errorf("save: %s: %w", path, err))
	}
	return v, nil
}

func read(path string) (any, error) {
	switch suffix := strings.ToLower(filepath.Ext(path)); suffix {
	case ".csv":
		f, _, err := regular.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readCSV(f)
	case ".json":
		data, err := regular.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var v any
		return v, json.Unmarshal(data, &v)
	case ".npy":
		return numpy.ReadArray(path)
	case ".npz":
		arrays, _, err := numpy.ReadArchive(path)
		return arrays, err
	case ".safetensors":
		arrays, err := readSafetensors(path)
		return arrays, err
	default:
		return nil, fmt.Errorf(
			"loupe.Read reads .csv, .json, .npy, .npz and .safetensors; pictures are opened by loupe.Open, models by loupe.Load")
	}
}

func readSafetensors(path string) (map[string]*tensors.Tensor, error) {
	arrays, _, skipped, err := safetensors.Read(path)
	if err != nil {
		return nil, err
	}
	for name, kind := range skipped {
		return nil, fmt.Errorf("%s holds numbers of the type %s, which loupe does not read", name, kind)
	}
	return arrays, nil
}
