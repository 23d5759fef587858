// Package regular opens files that hold bytes, and nothing else: to read a pipe waits for somebody to write, and to
// read /dev/zero does not end.
package regular

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"
)

// ErrKind says that what is at a path is a folder, a pipe, a socket or a device. It comes in an [fs.PathError].
var ErrKind = errors.New("it is not a regular file")

// Open opens a file for reading and returns its size. It does not wait, whatever is at the path. Links count for what
// they lead to.
func Open(path string) (f *os.File, size int64, err error) {
	// Without O_NONBLOCK, to open a pipe waits for the other end.
	if f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		if errors.Is(err, syscall.ENXIO) { // a socket, or a device that is not there
			err = &fs.PathError{Op: "open", Path: path, Err: ErrKind}
		}
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrKind}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// ReadFile reads a file as a whole.
func ReadFile(path string) ([]byte, error) { return ReadUpTo(path, math.MaxInt64-1) }

// ReadUpTo reads a file as a whole; one of more than so many bytes is an error.
func ReadUpTo(path string, most int64) ([]byte, error) {
	f, size, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Some of the system's files tell of no bytes and have some.
	raw := make([]byte, 0, min(size, most)+1)
	for int64(len(raw)) <= most {
		n, err := f.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		if err == io.EOF {
			return raw, nil
		}
		if err != nil {
			return nil, err
		}
		if len(raw) == cap(raw) {
			raw = append(raw, 0)[:len(raw)]
		}
	}
	return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is too large")}
}
