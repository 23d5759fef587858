// Package weightfile reads the files that networks' weights lie in.
package weightfile

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/failure"
)

// Read reads the floating-point weights of a file by name, in the file's own layout: .pth, .pt, .th, .ckpt, .bin and
// .pth.tar as PyTorch writes them, .safetensors, .npz or .pkl. It is an error if an array of a .npz file lies column by
// column (Fortran's order).
func Read(path string) (map[string]*tensors.Tensor, error) {
	weights, err := read(path)
	return weights, failure.OneLine(err)
}

func read(path string) (map[string]*tensors.Tensor, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("weightfile: %w", err)
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pth", ".pt", ".th", ".ckpt", ".bin", ".tar":
		return readPyTorch(path)
	case ".pt2":
		return nil, fmt.Errorf("weightfile: %s is a program that torch.export wrote: save the network's state_dict(), or "+
			"write it with torch.onnx.export", path)
	case ".safetensors":
		return readSafetensors(path)
	case ".npz":
		return readArchive(path)
	case ".pkl":
		return readNumPyPickle(path)
	}
	return nil, fmt.Errorf(
		"weightfile: %s: weights are read from .pth, .pt, .th, .ckpt, .bin, .pth.tar, .safetensors, .npz and .pkl files",
		path)
}

// KernelsLast turns the weights of rank 4 from [O, I, KH, KW] to [KH, KW, I, O].
func KernelsLast(weights map[string]*tensors.Tensor) map[string]*tensors.Tensor {
	turned := make(map[string]*tensors.Tensor, len(weights))
	for name, w := range weights {
		turned[name] = w
		if w.Rank() != 4 {
			continue
		}
		d := w.Shape().Dimensions
		o, i, kh, kw := d[0], d[1], d[2], d[3]
		to := make([]float32, w.Size())
		tensors.MustConstFlatData(w, func(from []float32) {
			for oi := range o * i { // without a division for each number: there are millions
				at := oi%i*o + oi/i
				for yx := range kh * kw {
					to[yx*i*o+at] = from[oi*kh*kw+yx]
				}
			}
		})
		turned[name] = tensors.FromFlatDataAndDimensions(to, kh, kw, i, o)
	}
	return turned
}

// KernelsFirst turns the weights of rank 4 from [KH, KW, I, O] to [O, I, KH, KW], as [KernelsLast] does the other way.
func KernelsFirst(weights map[string]*tensors.Tensor) map[string]*tensors.Tensor {
	turned := maps.Clone(weights)
	for name, w := range weights {
		if w.Rank() != 4 {
			continue
		}
		d := w.Shape().Dimensions
		kh, kw, i, o := d[0], d[1], d[2], d[3]
		to := make([]float32, w.Size())
		tensors.MustConstFlatData(w, func(from []float32) {
			for at, v := range from {
				out, in, x, y := at%o, at/o%i, at/(o*i)%kw, at/(o*i*kw)
				to[((out*i+in)*kh+y)*kw+x] = v
			}
		})
		turned[name] = tensors.FromFlatDataAndDimensions(to, o, i, kh, kw)
	}
	return turned
}
