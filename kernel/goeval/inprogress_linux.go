package goeval

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loupeml/loupe/internal/procs"
)

// A cell that is stopped may be within a call of the standard library that waits for a program, reads from a connection
// or copies a file, and looks up only when that is done. What the cell itself has begun is ended then: its programs as
// by a terminal's interrupt, its connections are shut down, and its files cannot be read or written any more.

// work is what a cell has begun.
type work struct {
	began time.Duration  // since the system has started
	files map[int]string // what was open before
}

// begunNow notes what there is before a cell runs.
func begunNow() *work { return &work{procs.Now(), openFiles()} }

// openFiles returns what the system says of the files that are open.
func openFiles() map[int]string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	files := map[int]string{}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			if link, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil {
				files[fd] = link
			}
		}
	}
	return files
}

// end ends what has been begun since. Programs get some time for it, until they are ended the second time.
func (w *work) end(again bool) {
	signal := syscall.SIGINT
	if again {
		signal = syscall.SIGKILL
	}
	for _, pid := range procs.Foreground(w.began) {
		syscall.Kill(pid, signal)
	}
	if w.files == nil {
		return
	}
	dead := -1
	for fd, link := range openFiles() {
		switch {
		case w.files[fd] == link:
		case strings.HasPrefix(link, "socket:"):
			unix.Shutdown(fd, unix.SHUT_RDWR)
		case isUsersFile(link):
			if dead < 0 {
				if dead = deadFile(); dead < 0 {
					return
				}
				defer unix.Close(dead)
			}
			unix.Dup3(dead, fd, unix.O_CLOEXEC)
		}
	}
}

// isUsersFile tells a file with contents from devices, the system's own and libraries.
func isUsersFile(link string) bool {
	for _, dir := range []string{"/dev/", "/proc/", "/sys/"} {
		if strings.HasPrefix(link, dir) {
			return false
		}
	}
	info, err := os.Stat(link)
	return strings.HasPrefix(link, "/") && filepath.Ext(link) != ".so" && err == nil && info.Mode().IsRegular()
}

// deadFile opens a file that can neither be read nor written; -1 where that cannot be.
func deadFile() int {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}
