package assets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// cacheError is a failure of the cache folder itself: full, not writable, gone.
type cacheError struct{ error }

func (e cacheError) Unwrap() error { return e.error }

func isDisk(err error) bool {
	var c cacheError
	return errors.As(err, &c)
}

const elsewhere = "set LOUPE_CACHE to a folder on another disk"

// diskError words what went wrong when writing in folder.
func diskError(name, folder string, err error) error {
	if isDisk(err) {
		return err
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return cacheError{fmt.Errorf("assets: %s does not fit: the disk of %s is full: make room (`loupe fetch --remove "+
			"NAME` deletes an asset), or %s: %w", name, folder, elsewhere, err)}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS),
		errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENOENT):
		return cacheError{
			fmt.Errorf("assets: %s: the cache folder cannot be written: %w; set LOUPE_CACHE to a folder of your own", name, err)}
	}
	return cacheError{fmt.Errorf("assets: %s: %w", name, err)}
}

// Free returns the bytes that may still be written to the disk of a folder, which need not exist yet.
func Free(folder string) (int64, error) {
	for {
		var s unix.Statfs_t
		err := unix.Statfs(folder, &s)
		if err == nil {
			return int64(s.Bavail) * int64(s.Bsize), nil
		}
		parent := filepath.Dir(folder)
		if !errors.Is(err, os.ErrNotExist) || parent == folder {
			return 0, err
		}
		folder = parent
	}
}

// enoughSpace refuses before anything is downloaded what cannot be kept.
func enoughSpace(name, folder string, need int64) error {
	free, err := Free(folder)
	if err != nil || free >= need {
		return nil
	}
	return cacheError{
		fmt.Errorf("assets: %s needs %d MB for its download and its files, and the disk of %s has %d MB left: make room, "+
			"or %s", name, need>>20+1, folder, free>>20, elsewhere)}
}
