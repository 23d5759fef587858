// Package scratch has folders for what a process needs for a while only. They bear the number of their process, so that
// whoever comes after one that was killed can remove what it has left.
package scratch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const prefix = "loupe-"

var (
	mu  sync.Mutex // guards own
	own string
)

// Dir returns the folder of this process, which only this user can read.
func Dir() (string, error) {
	mu.Lock()
	defer mu.Unlock()
	if own != "" {
		if _, err := os.Stat(own); err == nil {
			return own, nil
		}
	}
	dir, err := os.MkdirTemp("", Name(""))
	if err != nil {
		return "", fmt.Errorf("scratch: %w; set TMPDIR to a folder with room", err)
	}
	own = dir
	return dir, nil
}

// Kept returns a folder that stays when this process has ended, for what belongs into a folder of the user's that
// cannot be written. Only this user can read it.
func Kept(name string) (string, error) {
	dir := keptFolder()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("scratch: %w; set TMPDIR to a folder with room", err)
	}
	if err := isOurs(dir); err != nil {
		return "", err
	}
	dir = filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("scratch: %w", err)
	}
	return dir, nil
}

// WasKept returns what [Kept] returns if the folder is there, and makes none.
func WasKept(name string) (dir string, ok bool) {
	if isOurs(keptFolder()) != nil {
		return "", false
	}
	dir = filepath.Join(keptFolder(), name)
	info, err := os.Lstat(dir)
	return dir, err == nil && info.IsDir()
}

func keptFolder() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("%skept-%d", prefix, os.Getuid()))
}

// isOurs refuses a folder that is not this user's only.
func isOurs(dir string) error {
	// Others may have made it, since they can write the folder that it is in.
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("scratch: %w", err)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(s.Uid) != os.Getuid() ||
		info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("scratch: %s is not a folder of yours only", dir)
	}
	return nil
}

// Writable reports whether a folder is there and can be written, and makes it where it is not there.
func Writable(dir string) bool {
	return os.MkdirAll(dir, 0o700) == nil && unix.Access(dir, unix.W_OK|unix.X_OK) == nil
}

// Env is the environment for programs that shall have their temporary files in the folder of this process.
func Env() []string {
	dir, err := Dir()
	if err != nil {
		return os.Environ() // they will tell what is wrong with it
	}
	return append(os.Environ(), "TMPDIR="+dir)
}

// Name begins the name of a folder of this process, as os.MkdirTemp takes it.
func Name(kind string) string { return fmt.Sprintf("%s%s%d-", prefix, kind, os.Getpid()) }

// Remove removes this process's folder.
func Remove() error {
	mu.Lock()
	defer mu.Unlock()
	if own == "" {
		return nil
	}
	dir := own
	own = ""
	return os.RemoveAll(dir)
}

// RemoveOf removes what a process has left, which is no more.
func RemoveOf(pid int) {
	clean(os.TempDir(), "", func(of int) bool { return of == pid })
}

// Clean removes what processes that are no more have left in the folder for temporary files.
func Clean() { CleanIn(os.TempDir(), "") }

// CleanIn removes the folders of a kind that processes which are no more have left in a folder.
func CleanIn(dir, kind string) { clean(dir, kind, gone) }

func clean(dir, kind string, is func(pid int) bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), prefix+kind)
		if !ok || !e.IsDir() {
			continue
		}
		number, _, ok := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(number)
		if !ok || err != nil || !is(pid) {
			continue
		}
		// In a folder that all may write to, only what is ours.
		info, err := e.Info()
		if err != nil {
			continue
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) == os.Getuid() {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

func gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }
