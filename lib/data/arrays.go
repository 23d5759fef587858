package data

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/numpy"
)

// arraySource is images of one size that lie in memory, as bytes or as floats.
type arraySource struct {
	bytes                   []uint8   // [N, H, W, C], or nil
	floats                  []float32 // [N, H, W, C] in 0..1, or nil
	n                       int
	height, width, channels int
	labels                  []int // nil if unknown
}

func (s *arraySource) len() int          { return s.n }
func (s *arraySource) name(i int) string { return "image " + strconv.Itoa(i) }

func (s *arraySource) label(i int) int {
	if s.labels == nil {
		return -1
	}
	return s.labels[i]
}

func (s *arraySource) image(i int) (Image, error) {
	size := s.height * s.width * s.channels
	img := Image{Height: s.height, Width: s.width, Channels: s.channels}
	if s.floats != nil {
		img.Pix = s.floats[i*size : (i+1)*size : (i+1)*size]
		return img, nil
	}
	img.Pix = make([]float32, size)
	for k, v := range s.bytes[i*size : (i+1)*size] {
		img.Pix[k] = float32(v) / 255
	}
	return img, nil
}

// FromTensor makes a dataset of images [N, H, W, C] float32 in 0..1. labels may be nil, as may classes.
func FromTensor(images *tensors.Tensor, labels []int, classes []string) (*Dataset, error) {
	if images == nil {
		return nil, errors.New("data: there are no images: the tensor is nil, and images are [N, H, W, C] float32")
	}
	if images.Rank() != 4 || images.DType() != dtypes.Float32 {
		return nil, fmt.Errorf("data: images are a tensor [N, H, W, C] float32, not %s", images.Shape())
	}
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return fromFloats("tensor", flat, images.Shape().Dimensions, labels, classes)
}

func fromFloats(title string, flat []float32, dims []int, labels []int, classes []string) (*Dataset, error) {
	s := &arraySource{floats: flat, n: dims[0], height: dims[1], width: dims[2], channels: dims[3], labels: labels}
	size := max(s.height*s.width*s.channels, 1)
	for i, v := range flat {
		if v-v != 0 { // no finite number
			return nil, fmt.Errorf("data: image %d of %s has the value %v at %d: clean the file", i/size, title, v, i%size)
		}
		if v < -1e-4 || v > 1+1e-4 {
			return nil, fmt.Errorf(
				"data: image %d of %s has the value %v; floats are in 0..1: divide them by 255, or save them as uint8",
				i/size, title, v)
		}
	}
	return withLabels(title, s, classes)
}

func withLabels(title string, s *arraySource, classes []string) (*Dataset, error) {
	if s.n > 0 && (s.height < 1 || s.width < 1 || s.channels < 1) {
		return nil, fmt.Errorf("data: the images of %s have no pixels: they are %d x %d with %d channels", title, s.height,
			s.width, s.channels)
	}
	if s.labels != nil && len(s.labels) != s.n {
		return nil, fmt.Errorf("data: %s has %d images and %d labels", title, s.n, len(s.labels))
	}
	return newDataset(title, s, classes)
}

// open opens a file, unpacking it if its name ends in .gz.
func open(file string) (io.ReadCloser, error) {
	f, _, err := regular.Open(file)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if !strings.HasSuffix(file, ".gz") {
		return f, nil
	}
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("data: %s is not a whole gzip file: %w", file, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// readIDX reads an IDX file of bytes: MNIST's format.
func readIDX(file string, rank int) (dims []int, values []uint8, err error) {
	f, err := open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	var magic [4]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil || magic[0] != 0 || magic[1] != 0 || magic[2] != 8 ||
		int(magic[3]) != rank {
		return nil, nil, fmt.Errorf("data: %s is not an IDX file of bytes with %d dimensions", file, rank)
	}
	total := 1
	for range rank {
		var n uint32
		if err := binary.Read(in, binary.BigEndian, &n); err != nil {
			return nil, nil, fmt.Errorf("data: %s is cut short in its header", file)
		}
		if total > 1<<33/max(int(n), 1) { // before it is multiplied, which might overflow
			return nil, nil, fmt.Errorf("data: %s claims to hold more than 8 GB: its header is damaged", file)
		}
		dims, total = append(dims, int(n)), total*int(n)
	}
	// Not make(total) at once: a damaged header must not cost memory that the file does not fill. To the end and beyond,
	// where a packed file has its checksum.
	values, err = io.ReadAll(io.LimitReader(in, int64(total)+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("data: %s is cut short or damaged: of %d values there are %d: %w", file, total,
			len(values), err)
	case len(values) < total:
		return nil, nil, fmt.Errorf("data: %s is cut short: it has %d of %d values", file, len(values), total)
	case len(values) > total:
		return nil, nil, fmt.Errorf("data: %s has more than the %d values of its header", file, total)
	}
	return dims, values, nil
}

// IDX reads a pair of IDX files, MNIST's format, plain or .gz: images [N, H, W] and labels [N] as bytes.
func IDX(imagesFile, labelsFile string, classes []string) (*Dataset, error) {
	dims, pixels, err := readIDX(imagesFile, 3)
	if err != nil {
		return nil, err
	}
	_, raw, err := readIDX(labelsFile, 1)
	if err != nil {
		return nil, err
	}
	labels := make([]int, len(raw))
	for i, v := range raw {
		labels[i] = int(v)
	}
	return withLabels(filepath.Base(imagesFile), &arraySource{bytes: pixels, n: dims[0], height: dims[1], width: dims[2],
		channels: 1, labels: labels}, classes)
}

// CIFAR10Classes are the names of CIFAR-10's classes by label.
var CIFAR10Classes = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// CIFAR10 reads files of CIFAR-10's binary version (data_batch_1.bin …, test_batch.bin).
func CIFAR10(files ...string) (*Dataset, error) { return cifar(files, 1, 0, CIFAR10Classes) }

// CIFAR100 reads files of CIFAR-100's binary version (train.bin, test.bin), with the 100 fine labels.
func CIFAR100(files ...string) (*Dataset, error) { return cifar(files, 2, 1, nil) }

// cifar reads records of labelBytes bytes of labels, of which the one at label counts, and 3 x 32 x 32 pixels.
func cifar(files []string, labelBytes, label int, classes []string) (*Dataset, error) {
	const plane = 32 * 32
	record := labelBytes + 3*plane
	s := &arraySource{height: 32, width: 32, channels: 3, labels: []int{}}
	for _, file := range files {
		raw, err := regular.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		if len(raw) == 0 || len(raw)%record != 0 {
			return nil, fmt.Errorf("data: %s has %d bytes, which is not a number of whole records of %d: it is cut short, or "+
				"not of CIFAR's binary version", file, len(raw), record)
		}
		for ; len(raw) > 0; raw = raw[record:] {
			s.labels = append(s.labels, int(raw[label]))
			for p := range plane {
				for ch := range 3 {
					s.bytes = append(s.bytes, raw[labelBytes+ch*plane+p])
				}
			}
			s.n++
		}
	}
	return withLabels(strings.Join(files, ", "), s, classes)
}

// NPY reads images from one NumPy file, [N, H, W] or [N, H, W, C] as uint8 or as float32 or float64 in 0..1, and
// labels, [N] of any integer type, from another; an empty name means that there are none. It is an error if the images
// lie column by column (Fortran's order).
func NPY(imagesFile, labelsFile string, classes []string) (*Dataset, error) {
	images, err := numpy.ReadArray(imagesFile)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", imagesFile, err)
	}
	var labels *tensors.Tensor
	if labelsFile != "" {
		if labels, err = numpy.ReadArray(labelsFile); err != nil {
			return nil, fmt.Errorf("data: %s: %w", labelsFile, err)
		}
	}
	return fromArrays(imagesFile, images, labels, classes)
}

// NPZ reads images and labels by their names from a NumPy archive; an empty name for the labels means that there are
// none. What the arrays may be is as for [NPY].
func NPZ(file, imagesName, labelsName string, classes []string) (*Dataset, error) {
	names := []string{strings.TrimSuffix(imagesName, ".npy")}
	if labelsName != "" {
		names = append(names, strings.TrimSuffix(labelsName, ".npy"))
	}
	arrays, err := numpy.ReadFromArchive(file, names...)
	if err != nil {
		return nil, failure.OneLine(fmt.Errorf("data: %s: %w", file, err))
	}
	var labels *tensors.Tensor
	if labelsName != "" {
		labels = arrays[1]
	}
	return fromArrays(file, arrays[0], labels, classes)
}

// fromArrays is a dataset of arrays of a file; labels may be nil.
func fromArrays(file string, images, labels *tensors.Tensor, classes []string) (*Dataset, error) {
	var known []int
	if labels != nil {
		if labels.Rank() != 1 {
			return nil, fmt.Errorf("data: the labels of %s have the shape %v, they are [N]", file, labels.Shape().Dimensions)
		}
		var err error
		if known, err = numpy.Ints(labels); err != nil {
			return nil, fmt.Errorf("data: the labels of %s: %w", file, err)
		}
	}
	dims := slices.Clone(images.Shape().Dimensions)
	if len(dims) == 3 {
		dims = append(dims, 1)
	}
	if len(dims) != 4 {
		return nil, fmt.Errorf("data: the images of %s have the shape %v, they are [N, H, W] or [N, H, W, C]", file,
			images.Shape().Dimensions)
	}
	switch images.DType() {
	case dtypes.Uint8:
		s := &arraySource{n: dims[0], height: dims[1], width: dims[2], channels: dims[3], labels: known,
			bytes: tensors.MustCopyFlatData[uint8](images)}
		return withLabels(file, s, classes)
	case dtypes.Float32:
		return fromFloats(file, tensors.MustCopyFlatData[float32](images), dims, known, classes)
	case dtypes.Float64:
		wide := tensors.MustCopyFlatData[float64](images)
		narrow := make([]float32, len(wide))
		for i, x := range wide {
			narrow[i] = float32(x)
		}
		return fromFloats(file, narrow, dims, known, classes)
	}
	return nil, fmt.Errorf("data: the images of %s are of type %s, they are uint8, or float32 or float64 in 0..1", file,
		images.DType())
}
