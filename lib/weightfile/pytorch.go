package weightfile

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/zipfile"
	"github.com/nlpodyssey/gopickle/pytorch"
	"github.com/nlpodyssey/gopickle/types"
)

// readPyTorch reads the tensors of a PyTorch checkpoint, new (zip) or old, by name. Of a checkpoint that
// holds more than weights, it takes the dictionary of weights; "module.", which DataParallel puts before every
// name, is taken off. Integer tensors, such as counters, are left out.
//
// The pickles are gopickle's to read, but not the storages beside them: its reader takes a file that ends early for a
// whole one, and never returns from an empty one.
//
// Of a checkpoint that has a moving average besides, a line on standard error says which of the two are taken.
func readPyTorch(file string) (map[string]*tensors.Tensor, error) {
	broken := func(err error) (map[string]*tensors.Tensor, error) {
		return nil, fmt.Errorf("weightfile: %s is not a whole PyTorch checkpoint: %s", file, failure.FirstLine(err))
	}
	f, size, err := regular.Open(file)
	if err != nil {
		return nil, fmt.Errorf("weightfile: %w", err)
	}
	defer f.Close()
	start := make([]byte, 2)
	if _, err := io.ReadFull(f, start); err != nil {
		return broken(fmt.Errorf("it has %d bytes", len(start)))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return broken(err)
	}
	var root any
	switch {
	case string(start) == "PK":
		root, err = readPyTorchZip(f, size)
	case start[0] == 0x80:
		root, err = readPyTorchLegacy(bufio.NewReader(f), size)
	default:
		err = fmt.Errorf("it is neither a zip archive nor a pickle")
	}
	if err != nil {
		return broken(err)
	}
	weights := map[string]*tensors.Tensor{}
	named, err := stateDict(root)
	if err != nil {
		return nil, fmt.Errorf("weightfile: %s %w", file, err)
	}
	if named.besides != "" {
		fmt.Fprintf(os.Stderr, "loupe: %s has the weights %s and a moving average of them, %s: the former are taken\n", file,
			named.called, named.besides)
	}
	err = eachEntry(named.weights, func(name string, value any) error {
		t, ok := value.(*torchTensor)
		if !ok {
			return nil
		}
		if t.storage.data == nil {
			return fmt.Errorf("%s: storage %s is missing", name, t.storage.key)
		}
		data := floatsOf(t.storage.data)
		if data == nil {
			return nil
		}
		flat, err := strided(data, t.offset, t.size, t.stride)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if name = strings.TrimPrefix(name, "module."); weights[name] != nil {
			return fmt.Errorf("it has %s twice", name)
		}
		if len(flat) == 0 { // of no use to any network
			return nil
		}
		weights[name] = tensors.FromFlatDataAndDimensions(flat, t.size...)
		return nil
	})
	if err != nil {
		return broken(err)
	}
	if len(weights) == 0 {
		return nil, fmt.Errorf("weightfile: %s holds no weights by name: save the model's state_dict()", file)
	}
	return weights, nil
}

// torchStorage is a block of numbers that tensors are views of. Its data is filled in after the pickle.
type torchStorage struct {
	key   string
	size  int
	class torchStorageClass
	data  interface { // one of gopickle's storages, by type of number; nil until it is filled
		pytorch.StorageInterface
	}
	width int // bytes of a number
}

// fill reads the numbers, all of them or fails.
func (s *torchStorage) fill(r io.Reader) error {
	raw := make([]byte, s.size*s.width)
	if n, err := io.ReadFull(r, raw); err != nil {
		return fmt.Errorf("storage %s has %d bytes of %d", s.key, n, len(raw))
	}
	s.data = s.class.New(s.size, "cpu")
	if half, ok := s.data.(*pytorch.HalfStorage); ok { // gopickle takes those below 2^-14, and -0, for others
		half.Data = make([]float32, s.size)
		for i := range half.Data {
			half.Data[i] = float16.FromBits(binary.LittleEndian.Uint16(raw[2*i:])).Float32()
		}
		return nil
	}
	return s.data.SetFromFileWithSize(bytes.NewReader(raw), s.size)
}

// torchTensor is a view of a storage.
type torchTensor struct {
	storage      *torchStorage
	offset       int
	size, stride []int
}

// readPyTorchZip reads the format of PyTorch 1.6 and later: a zip archive with a pickle, data.pkl, and a record for
// each storage.
func readPyTorchZip(f *os.File, size int64) (any, error) {
	archive, err := zipfile.New(f, size)
	if err != nil {
		return nil, err
	}
	records := map[string]*zip.File{}
	for _, r := range archive.File {
		records[path.Base(r.Name)] = r
	}
	if records["constants.pkl"] != nil {
		return nil, fmt.Errorf(
			"it is a TorchScript program: save the network's state_dict(), or write it with torch.onnx.export")
	}
	if records["data.pkl"] == nil {
		return nil, fmt.Errorf("it has no data.pkl")
	}
	r, err := records["data.pkl"].Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	storages := torchStorages{byKey: map[string]*torchStorage{}, most: func(key string) int64 {
		if records[key] == nil {
			return -1
		}
		return int64(records[key].UncompressedSize64)
	}}
	root, err := storages.unpickle(bufio.NewReader(r), int64(records["data.pkl"].UncompressedSize64))
	if err != nil {
		return nil, err
	}
	for key, s := range storages.byKey {
		data, err := records[key].Open()
		if err != nil {
			return nil, err
		}
		err = s.fill(data)
		data.Close()
		if err != nil {
			return nil, err
		}
	}
	return root, nil
}

// readPyTorchLegacy reads the older format: pickles of a magic number, a version, facts about the machine, the
// object, and the storages' keys, then for each key the count of its numbers and the numbers.
func readPyTorchLegacy(r *bufio.Reader, size int64) (any, error) {
	storages := torchStorages{byKey: map[string]*torchStorage{}, most: func(string) int64 { return size }}
	for range 3 {
		if _, err := storages.unpickle(r, size); err != nil {
			return nil, err
		}
	}
	root, err := storages.unpickle(r, size)
	if err != nil {
		return nil, err
	}
	all := int64(0)
	for _, s := range storages.byKey {
		if all += int64(s.size) * int64(s.width); all > size {
			return nil, errors.New("its tensors take more bytes than the file has")
		}
	}
	keys, err := storages.unpickle(r, size)
	if err != nil {
		return nil, err
	}
	list, ok := keys.(*types.List)
	if !ok {
		return nil, fmt.Errorf("it has no list of storages")
	}
	for _, key := range *list {
		name, _ := key.(string)
		s := storages.byKey[name]
		if s == nil {
			return nil, fmt.Errorf("storage %v belongs to nothing", key)
		}
		var count int64
		if err := binary.Read(r, binary.LittleEndian, &count); err != nil || count != int64(s.size) {
			return nil, fmt.Errorf("storage %s should have %d numbers", name, s.size)
		}
		if err := s.fill(r); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// torchStorages are the storages that a pickle mentions, by key, and how many bytes there are for one, -1 where there
// is none.
type torchStorages struct {
	byKey map[string]*torchStorage
	most  func(key string) int64
}

func (s torchStorages) unpickle(r *bufio.Reader, most int64) (any, error) {
	return unpickle(r, most, s.load)
}

// load resolves a reference in a pickle: ("storage", class, key, device, size, ...).
func (s torchStorages) load(reference any) (any, error) {
	t, ok := reference.(*types.Tuple)
	if ok && t.Len() > 1 && t.Get(0) == "module" {
		return t.Get(1), nil
	}
	if !ok || t.Len() < 5 || t.Get(0) != "storage" {
		return nil, fmt.Errorf("it refers to something that is no storage")
	}
	class, ok1 := t.Get(1).(torchStorageClass)
	key, ok2 := t.Get(2).(string)
	size, ok3 := t.Get(4).(int)
	if !ok1 || !ok2 || !ok3 || size < 0 {
		return nil, fmt.Errorf("it has a storage of an unknown type")
	}
	switch most := s.most(key); {
	case most < 0:
		return nil, fmt.Errorf("storage %s is missing", key)
	case int64(size) > most/int64(class.width):
		return nil, fmt.Errorf("storage %s has %d bytes for %d numbers", key, most, size)
	}
	if known := s.byKey[key]; known != nil {
		if known.size != size || known.width != class.width {
			return nil, fmt.Errorf("storage %s is told of twice, in two ways", key)
		}
		return known, nil
	}
	s.byKey[key] = &torchStorage{key: key, size: size, width: class.width, class: class}
	return s.byKey[key], nil
}

// torchStorageClass is torch.FloatStorage and the like.
type torchStorageClass struct {
	pytorch.StorageClassInterface
	width int
}

var torchStorageClasses = map[string]torchStorageClass{
	"HalfStorage":     {&pytorch.HalfStorageClass{}, 2},
	"BFloat16Storage": {&pytorch.BFloat16StorageClass{}, 2},
	"FloatStorage":    {&pytorch.FloatStorageClass{}, 4},
	"DoubleStorage":   {&pytorch.DoubleStorageClass{}, 8},
	"CharStorage":     {&pytorch.CharStorageClass{}, 1},
	"ByteStorage":     {&pytorch.ByteStorageClass{}, 1},
	"BoolStorage":     {&pytorch.BoolStorageClass{}, 1},
	"ShortStorage":    {&pytorch.ShortStorageClass{}, 2},
	"IntStorage":      {&pytorch.IntStorageClass{}, 4},
	"LongStorage":     {&pytorch.LongStorageClass{}, 8},
}

// rebuildTensor is torch._utils._rebuild_tensor and its later versions: storage, offset, size, stride, and more that is
// not data.
func rebuildTensor(args []any) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("a tensor of %d parts", len(args))
	}
	storage, ok1 := args[0].(*torchStorage)
	offset, ok2 := args[1].(int)
	size, ok3 := ints(args[2])
	stride, ok4 := ints(args[3])
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, fmt.Errorf("a tensor of unknown parts")
	}
	return &torchTensor{storage, offset, size, stride}, nil
}

func ints(tuple any) ([]int, bool) {
	t, ok := tuple.(*types.Tuple)
	if !ok {
		return nil, false
	}
	values := make([]int, t.Len())
	for i := range values {
		if values[i], ok = t.Get(i).(int); !ok {
			return nil, false
		}
	}
	return values, true
}

// dictionary is one of weights within a checkpoint.
type dictionary struct {
	weights any
	called  string // empty where it is the checkpoint itself
	besides string // a moving average that is there too
}

// plain and averaged are what dictionaries of weights, and of their moving averages, are usually called.
var (
	plain    = []string{"state_dict", "model_state_dict", "model", "net"}
	averaged = []string{"state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema"}
)

// stateDict returns the dictionary of weights within a checkpoint: the value under one of the usual names, or the only
// one that holds tensors, or the checkpoint itself. A moving average of the weights is taken where there is nothing
// else. Several others, such as those of a teacher and its student, are an error.
func stateDict(root any) (dictionary, error) {
	found := map[string]any{}
	var others []string
	_ = eachEntry(root, func(key string, value any) error {
		switch value.(type) {
		case *types.Dict, *types.OrderedDict:
			found[key] = value
			if hasTensors(value) && !slices.Contains(averaged, key) {
				others = append(others, key)
			}
		}
		return nil
	})
	besides := ""
	for _, name := range averaged {
		if found[name] != nil && hasTensors(found[name]) {
			besides = name
			break
		}
	}
	for _, name := range plain {
		if found[name] != nil {
			return dictionary{found[name], name, besides}, nil
		}
	}
	switch {
	case hasTensors(root):
		return dictionary{weights: root}, nil
	case len(others) == 1:
		return dictionary{found[others[0]], others[0], besides}, nil
	case len(others) > 1:
		return dictionary{}, fmt.Errorf("holds several dictionaries of weights (%s): save the one that is meant",
			strings.Join(others, ", "))
	case besides != "":
		return dictionary{weights: found[besides], called: besides}, nil
	}
	return dictionary{weights: root}, nil
}

// hasTensors tells whether a dictionary has tensors of numbers with a point by name.
func hasTensors(dict any) bool {
	has := false
	_ = eachEntry(dict, func(_ string, value any) error {
		if t, ok := value.(*torchTensor); ok {
			switch t.storage.data.(type) {
			case nil, *pytorch.FloatStorage, *pytorch.HalfStorage, *pytorch.BFloat16Storage, *pytorch.DoubleStorage:
				has = true
			}
		}
		return nil
	})
	return has
}

func floatsOf(storage pytorch.StorageInterface) []float32 {
	switch s := storage.(type) {
	case *pytorch.FloatStorage:
		return s.Data
	case *pytorch.HalfStorage:
		return s.Data
	case *pytorch.BFloat16Storage:
		return s.Data
	case *pytorch.DoubleStorage:
		data := make([]float32, len(s.Data))
		for i, v := range s.Data {
			data[i] = float32(v)
		}
		return data
	}
	return nil
}

// strided copies a view of data, with the given offset, size and stride, into row-major order.
func strided(data []float32, offset int, size, stride []int) ([]float32, error) {
	cannot := fmt.Errorf("a tensor of size %v with stride %v from %d on cannot be in %d numbers", size, stride,
		offset, len(data))
	if len(size) != len(stride) || offset < 0 || offset > len(data) {
		return nil, cannot
	}
	if slices.Contains(size, 0) && !slices.ContainsFunc(size, func(n int) bool { return n < 0 }) {
		return nil, nil
	}
	// What is repeated, with stride 0, may be more than there is, but not without end.
	total, last, most := 1, offset, max(len(data), 1<<20)
	for a, n := range size {
		if n <= 0 || stride[a] < 0 || n > most/total || n > 1 && stride[a] > (len(data)-1-last)/(n-1) {
			return nil, cannot
		}
		total *= n
		last += (n - 1) * stride[a]
	}
	if last >= len(data) {
		return nil, cannot
	}
	inner, rowMajor := 1, true
	for a := len(size) - 1; a >= 0; a-- {
		rowMajor = rowMajor && (stride[a] == inner || size[a] == 1)
		inner *= size[a]
	}
	if rowMajor { // as nearly all are
		return slices.Clone(data[offset : last+1]), nil
	}
	flat := make([]float32, total)
	index := make([]int, len(size))
	for i := range flat {
		at := offset
		for a, k := range index {
			at += k * stride[a]
		}
		flat[i] = data[at]
		for a := len(index) - 1; a >= 0; a-- {
			if index[a]++; index[a] < size[a] {
				break
			}
			index[a] = 0
		}
	}
	return flat, nil
}
