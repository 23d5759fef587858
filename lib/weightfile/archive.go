package weightfile

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/numpy"
)

// readArchive reads the floating-point arrays of a .npz file.
func readArchive(path string) (map[string]*tensors.Tensor, error) {
	arrays, _, err := numpy.ReadArchive(path)
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return nil, fmt.Errorf("weightfile: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("weightfile: %s cannot be read: %w", path, err)
	}
	return floats(path, arrays)
}
