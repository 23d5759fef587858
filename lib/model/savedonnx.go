package model

import (
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/weightfile"
)

// The metadata of a saved model of an ONNX file: the file, which stays where it is, holds the architecture.
const (
	onnxKey       = "loupe.onnx"        // its path
	onnxDigestKey = "loupe.onnx.sha256" // of its content
)

// digestOf is a file's SHA-256.
func digestOf(path string) (string, error) {
	f, _, err := regular.Open(path)
	if err != nil {
		return "", fmt.Errorf("model: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("model: %s: %w", path, err)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// loadSavedONNX loads weights that were saved of an ONNX file's model: from the file where it was, or beside the saved
// one.
func loadSavedONNX(path, file, digest string) (*Model, error) {
	spec, err := SavedSpec(path)
	if err != nil {
		return nil, err
	}
	weights, err := weightfile.Read(path)
	if err != nil {
		return nil, err
	}
	for _, from := range []string{filepath.Join(filepath.Dir(path), filepath.Base(file)), file} {
		if found, err := digestOf(from); err != nil || found != digest {
			continue
		}
		m, err := FromONNX(from, spec)
		if err != nil {
			return nil, err
		}
		return m.WithWeights(weights)
	}
	return nil, fmt.Errorf(
		"model: %s holds weights for the ONNX file %s, which is not there any more or has changed: put it beside %s", path,
		file, path)
}
