// Package zipfile opens zip archives that may be damaged, or made to fill the memory.
package zipfile

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"

	"github.com/loupeml/loupe/internal/regular"
)

// What an archive unpacks to beyond this, and beyond a hundred times its own size, is made to fill the memory: no data
// is that empty.
const (
	mostUnpacked = 256 << 20
	mostPacked   = 100
)

// File is an open archive. Its entries tell of no more bytes than the limits allow.
type File struct {
	*zip.Reader
	io.Closer
	Size int64 // of the archive, in bytes
}

// Open opens an archive. Its errors do not name it, but for an fs.PathError.
func Open(path string) (*File, error) {
	f, size, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	z, err := New(f, size)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{z, f, size}, nil
}

// New reads the list of entries of an archive of size bytes.
func New(r io.ReaderAt, size int64) (*zip.Reader, error) {
	if size == 0 {
		return nil, errors.New("it is empty")
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("it is not a zip archive that is whole: %w", err)
	}
	unpacked := uint64(0)
	for _, entry := range z.File {
		unpacked += entry.UncompressedSize64
		switch {
		case entry.UncompressedSize64 > 1<<50, unpacked > mostUnpacked && unpacked > mostPacked*uint64(size):
			return nil, fmt.Errorf("it unpacks to more than %d MB from %d KB, which no data does", mostUnpacked>>20, size>>10)
		case entry.Method == zip.Store && entry.UncompressedSize64 > uint64(size):
			return nil, fmt.Errorf("its entry %q has more bytes than the archive", entry.Name)
		}
	}
	return z, nil
}
