package weightfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/types"
)

// eachEntry calls do for the entries of a Python dictionary that have a string as key.
func eachEntry(dict any, do func(key string, value any) error) error {
	entry := func(key, value any) error {
		if name, ok := key.(string); ok {
			return do(name, value)
		}
		return nil
	}
	switch d := dict.(type) {
	case *types.Dict:
		for _, e := range *d {
			if err := entry(e.Key, e.Value); err != nil {
				return err
			}
		}
	case *types.OrderedDict:
		for at := d.List.Front(); at != nil; at = at.Next() {
			e := at.Value.(*types.OrderedDictEntry)
			if err := entry(e.Key, e.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// readNumPyPickle reads a pickled dictionary of lists of NumPy arrays; the arrays of "conv1"
// become "conv1.weight" and "conv1.bias".
func readNumPyPickle(path string) (map[string]*tensors.Tensor, error) {
	f, size, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weightfile: %w", err)
	}
	defer f.Close()
	root, err := unpickle(bufio.NewReader(f), size, nil)
	if err != nil {
		return nil, fmt.Errorf("weightfile: %s is not a whole pickle of NumPy arrays: %s", path, failure.FirstLine(err))
	}
	weights := map[string]*tensors.Tensor{}
	err = eachEntry(root, func(name string, value any) error {
		list, ok := value.(*types.List)
		if !ok {
			return nil
		}
		for i, item := range *list {
			array, ok := item.(*ndarray)
			if !ok || i > 1 {
				return fmt.Errorf("weightfile: %s: %s is not a pair of NumPy arrays, kernel and bias", path, name)
			}
			suffix := []string{".weight", ".bias"}[i]
			weights[name+suffix] = tensors.FromFlatDataAndDimensions(array.data, array.shape...)
		}
		return nil
	})
	if err == nil && len(weights) == 0 {
		err = fmt.Errorf("weightfile: %s holds no weights by name", path)
	}
	if err != nil {
		return nil, err
	}
	return weights, nil
}

// unpickle does what a pickle of at most so many bytes says. load, unless nil, resolves references to what lies
// outside. A panic, which gopickle raises on some damaged files, becomes an error.
func unpickle(r *bufio.Reader, most int64, load func(reference any) (any, error)) (root any, err error) {
	raw, err := onePickle(r, most)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("damaged: %v", r)
		}
	}()
	u := pickle.NewUnpickler(bytes.NewReader(raw))
	u.FindClass = findClass
	if load != nil {
		u.PersistentLoad = load
	}
	return u.Load()
}

// findClass gives gopickle the Python classes that it does not know itself. Nothing of a pickle is ever run: a
// class without a meaning here becomes an empty object, so that the weights beside it can still be read.
func findClass(module, name string) (any, error) {
	if class, ok := torchStorageClasses[name]; ok && module == "torch" {
		return class, nil
	}
	switch module + "." + name {
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3":
		return callable(rebuildTensor), nil
	case "torch._utils._rebuild_parameter":
		return callable(func(args []any) (any, error) {
			if len(args) == 0 {
				return nil, fmt.Errorf("a parameter without a tensor")
			}
			return args[0], nil
		}), nil
	case "collections.OrderedDict":
		return &types.OrderedDictClass{}, nil
	case "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct":
		return callable(func([]any) (any, error) { return &ndarray{}, nil }), nil
	case "numpy.dtype":
		return callable(func(args []any) (any, error) {
			if len(args) == 0 {
				return nil, fmt.Errorf("a NumPy dtype without a name")
			}
			code, _ := args[0].(string)
			return &dtype{code: code}, nil
		}), nil
	}
	return opaque{}, nil
}

// callable is a Python function by its meaning.
type callable func(args []any) (any, error)

func (f callable) Call(args ...any) (any, error) { return f(args) }

// opaque stands for an object of a class that means nothing here.
type opaque struct{}

func (opaque) Call(...any) (any, error)    { return opaque{}, nil }
func (opaque) PyNew(...any) (any, error)   { return opaque{}, nil }
func (opaque) PySetState(any) error        { return nil }
func (opaque) PyDictSet(any, any) error    { return nil }
func (opaque) PySetAttr(string, any) error { return nil }

// dtype is numpy.dtype. Its state's second item is the byte order.
type dtype struct {
	code string
	big  bool
}

func (d *dtype) PySetState(state any) error {
	if t, ok := state.(*types.Tuple); ok && t.Len() > 1 {
		d.big = t.Get(1) == ">"
	}
	return nil
}

// ndarray is numpy.ndarray with floating-point items.
type ndarray struct {
	shape []int
	data  []float32
}

// PySetState takes (version, shape, dtype, Fortran order, bytes).
func (a *ndarray) PySetState(state any) error {
	t, ok := state.(*types.Tuple)
	if !ok || t.Len() != 5 {
		return fmt.Errorf("a NumPy array has another state than expected")
	}
	shape, ok1 := t.Get(1).(*types.Tuple)
	kind, ok2 := t.Get(2).(*dtype)
	fortran, ok3 := t.Get(3).(bool)
	raw, ok4 := t.Get(4).([]byte)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return fmt.Errorf("a NumPy array has another state than expected")
	}
	total := 1
	for i := range shape.Len() {
		n, ok := shape.Get(i).(int)
		if !ok || n < 1 || n > len(raw)/total {
			return fmt.Errorf("a NumPy array has the shape %v for %d bytes", shape, len(raw))
		}
		a.shape = append(a.shape, n)
		total *= n
	}
	var order binary.ByteOrder = binary.LittleEndian
	if kind.big {
		order = binary.BigEndian
	}
	width := map[string]int{"f4": 4, "f8": 8}[kind.code]
	if width == 0 {
		return fmt.Errorf("a NumPy array has the dtype %q, wanted are f4 and f8", kind.code)
	}
	if len(raw) != total*width {
		return fmt.Errorf("a NumPy array of shape %v has %d bytes", a.shape, len(raw))
	}
	a.data = make([]float32, total)
	for i := range a.data {
		if width == 4 {
			a.data[i] = math.Float32frombits(order.Uint32(raw[4*i:]))
		} else {
			a.data[i] = float32(math.Float64frombits(order.Uint64(raw[8*i:])))
		}
	}
	if fortran && len(a.shape) > 1 {
		stride := make([]int, len(a.shape))
		step := 1
		for i, n := range a.shape {
			stride[i] = step
			step *= n
		}
		var err error
		a.data, err = strided(a.data, 0, a.shape, stride)
		return err
	}
	return nil
}
