// Package wholefile writes a file as a whole or not at all.
package wholefile

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts what write writes in the place of the file at path, once all of it is on the disk. Until then, and after
// an error, what is at path is as it was; the new file grows beside it, under a hidden name. A file that was there
// keeps its mode, and a link leads to the file that it led to; a new one has the mode 0644. What is no regular file is
// not replaced.
func Write(path string, write func(w io.Writer) error) error {
	path, err := Target(path)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	switch info, err := os.Stat(path); {
	case err == nil && !info.Mode().IsRegular():
		return &fs.PathError{Op: "write", Path: path, Err: errors.New("it is not a regular file")}
	case err == nil:
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // its path is that of a file nobody asked for
		}
		return err
	}
	defer os.Remove(f.Name()) // not there any more if all went well
	buffered := bufio.NewWriterSize(f, 1<<20)
	if err = write(buffered); err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// mostLinks is how many links may lead on to others, as in Linux.
const mostLinks = 40

// Target is where the links at a path lead to, whether there is something or not.
func Target(path string) (string, error) {
	at := path
	for range mostLinks {
		to, err := os.Readlink(at)
		if err != nil { // no link
			return at, nil
		}
		if !filepath.IsAbs(to) { // it counts from where the link really lies
			folder, err := filepath.EvalSymlinks(filepath.Dir(at))
			if err != nil {
				return "", err
			}
			to = filepath.Join(folder, to)
		}
		at = to
	}
	return "", &fs.PathError{Op: "write", Path: path, Err: errors.New("its links lead to each other")}
}
