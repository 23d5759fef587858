package numpy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npy"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/zipfile"
)

// Types are NumPy's names of types.
var Types = map[dtypes.DType]string{
	dtypes.Bool: "|b1", dtypes.Int8: "|i1", dtypes.Uint8: "|u1", dtypes.Int16: "<i2", dtypes.Uint16: "<u2",
	dtypes.Int32: "<i4", dtypes.Uint32: "<u4",
	dtypes.Int64: "<i8", dtypes.Uint64: "<u8", dtypes.Float16: "<f2", dtypes.Float32: "<f4", dtypes.Float64: "<f8",
}

// MetadataFile is the entry of a .npz file that holds the metadata as JSON. NumPy gives its bytes under this name.
const MetadataFile = "metadata.json"

var errDamaged = errors.New("it is not a NumPy file that is whole")

// ReadArray reads a .npy file. Errors do not name it.
func ReadArray(path string) (*tensors.Tensor, error) {
	f, size, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, size)
}

// read reads an array of NumPy's format that is size bytes long. It takes no more memory than that, whatever the
// header says.
func read(r io.Reader, size int64) (t *tensors.Tensor, err error) {
	defer func() {
		if recover() != nil { // npyio trusts a header
			t, err = nil, errDamaged
		}
	}()
	head, err := headOf(r, size)
	if err != nil {
		return nil, err
	}
	in, err := npy.NewReader(bytes.NewReader(head))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	kind, shape := in.Header.Descr.Type, in.Header.Descr.Shape
	dtype := dtypes.InvalidDType
	for known, name := range Types {
		if name[1:] == strings.TrimLeft(kind, "<|=>") {
			dtype = known
		}
	}
	switch {
	case strings.HasSuffix(kind, "O"):
		return nil, fmt.Errorf("it holds Python objects (pickled), which may run anything: save numbers")
	case dtype == dtypes.InvalidDType:
		return nil, fmt.Errorf("it holds numbers of the type %q, which loupe does not read", kind)
	case in.Header.Descr.Fortran && len(shape) > 1:
		return nil, fmt.Errorf("it lies column by column (Fortran order): save it with numpy.ascontiguousarray")
	}
	left := size - int64(len(head))
	want := int64(dtype.Size())
	for _, n := range shape {
		if n < 0 || n > 0 && want > left/int64(n) {
			return nil, fmt.Errorf("it is cut short: the shape %v takes more than the %d bytes that there are", shape, left)
		}
		want *= int64(n)
	}
	if want != left {
		return nil, fmt.Errorf("the shape %v takes %d bytes, and there are %d", shape, want, left)
	}
	t = tensors.FromShape(shapes.Make(dtype, shape...))
	var failed error
	err = t.MutableBytes(func(to []byte) {
		if _, failed = io.ReadFull(r, to); failed == nil {
			_, failed = io.ReadFull(r, make([]byte, 1)) // a zip archive's entry is checked at its end
			if errors.Is(failed, io.EOF) {
				failed = nil
			}
		}
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("%w: %w", errDamaged, failed)
	}
	if err == nil && strings.HasPrefix(kind, ">") { // the highest byte first
		err = t.MutableBytes(func(all []byte) {
			for number := range slices.Chunk(all, dtype.Size()) {
				slices.Reverse(number)
			}
		})
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// headOf is all that stands before an array's numbers.
func headOf(r io.Reader, size int64) ([]byte, error) {
	head := make([]byte, 12)
	if size < int64(len(head)) {
		return nil, errDamaged
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, errDamaged
	}
	var length int64
	switch head[6] {
	case 1: // the length has two bytes, and two of the header have been read
		length = 10 + int64(binary.LittleEndian.Uint16(head[8:]))
	case 2:
		length = 12 + int64(binary.LittleEndian.Uint32(head[8:]))
	default:
		return nil, errDamaged
	}
	if length < int64(len(head)) || length > size {
		return nil, errDamaged
	}
	head = append(head, make([]byte, length-int64(len(head)))...)
	if _, err := io.ReadFull(r, head[12:]); err != nil {
		return nil, errDamaged
	}
	return head, nil
}

// ReadArchive reads a .npz file's arrays by name, and the metadata that [MetadataFile] holds, nil if there is none.
// What it does not know is an error, as is an archive that is made to fill the memory. Errors do not name the file.
func ReadArchive(path string) (arrays map[string]*tensors.Tensor, metadata map[string]string, err error) {
	z, err := zipfile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer z.Close()
	arrays = map[string]*tensors.Tensor{}
	for _, entry := range z.File {
		if entry.Name == MetadataFile {
			continue
		}
		name, isArray := strings.CutSuffix(entry.Name, ".npy")
		switch {
		case !isArray:
			return nil, nil, fmt.Errorf("it holds %q, which is no array: arrays end in .npy", entry.Name)
		case arrays[name] != nil:
			return nil, nil, fmt.Errorf("it holds the array %s twice", name)
		}
		r, err := entry.Open()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		arrays[name], err = read(r, int64(entry.UncompressedSize64))
		r.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	metadata, err = metadataOf(z)
	return arrays, metadata, err
}

// ReadFromArchive reads some arrays of a .npz file, in the order of their names. Errors do not name the file.
func ReadFromArchive(path string, names ...string) ([]*tensors.Tensor, error) {
	z, err := zipfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	found := make([]*tensors.Tensor, len(names))
	var all []string
	for _, entry := range z.File {
		name := strings.TrimSuffix(entry.Name, ".npy")
		all = append(all, name)
		i := slices.Index(names, name)
		if i < 0 {
			continue
		}
		if found[i] != nil {
			return nil, fmt.Errorf("it holds the array %s twice", name)
		}
		r, err := entry.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		found[i], err = read(r, int64(entry.UncompressedSize64))
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if i := slices.Index(found, nil); i >= 0 {
		return nil, fmt.Errorf("it has no array %q, it has %s", names[i], strings.Join(all, ", "))
	}
	return found, nil
}

// ArchiveMetadata is the metadata of a .npz file alone.
func ArchiveMetadata(path string) (map[string]string, error) {
	z, err := zipfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return metadataOf(z)
}

// metadataOf is what the archive's metadata file says.
func metadataOf(z *zipfile.File) (map[string]string, error) {
	for _, entry := range z.File {
		if entry.Name != MetadataFile {
			continue
		}
		r, err := entry.Open()
		if err != nil {
			return nil, fmt.Errorf("its metadata: %w", err)
		}
		defer r.Close()
		text, err := io.ReadAll(io.LimitReader(r, int64(entry.UncompressedSize64)))
		if err != nil {
			return nil, fmt.Errorf("its metadata: %w", err)
		}
		var metadata map[string]string
		if err := json.Unmarshal(text, &metadata); err != nil {
			return nil, fmt.Errorf("its metadata: %w", err)
		}
		return metadata, nil
	}
	return nil, nil
}
