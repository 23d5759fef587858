package child

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/worker/protocol"
)

// stdio keeps the pipes of standard output and error, for cells may close them.
type stdio [2]int

func keepStdio() (s stdio) {
	for i := range s {
		// High enough not to be taken for a file of the cell's, and closed in programs that cells start.
		if fd, err := unix.FcntlInt(uintptr(i+1), unix.F_DUPFD_CLOEXEC, 200); err == nil {
			s[i] = fd
		}
	}
	return s
}

// restore opens again what a cell has closed, before the next one.
func (s stdio) restore() {
	for i, file := range []**os.File{&os.Stdout, &os.Stderr} {
		fd := i + 1
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil && s[i] != 0 {
			unix.Dup2(s[i], fd)
		}
		if *file == nil || closed(*file) {
			*file = os.NewFile(uintptr(fd), []string{"/dev/stdout", "/dev/stderr"}[i])
		}
	}
}

// closed reports whether a file has been closed.
func closed(f *os.File) bool {
	_, err := f.Write(nil)
	return err != nil
}

// printed passes on what a cell prints, or has left behind to print, once another one has begun after it: it would be
// taken for that one's.
func (c *child) printed(stderr bool, p []byte) bool {
	r := cell.Current()
	if r == nil {
		return false
	}
	id, ok := r.Context.Value(requestKey{}).(int)
	if !ok {
		return false
	}
	c.mu.Lock()
	other := id != c.last
	c.mu.Unlock()
	m := protocol.Message{ID: id, Kind: protocol.IsText, Text: string(p), Stream: engine.Stdout}
	if stderr {
		m.Stream = engine.Stderr
	}
	return other && c.show(m) == nil
}

// settle waits until the parent has passed on what is in the pipes.
func (c *child) settle() { c.show(protocol.Message{ID: c.request(), Kind: protocol.IsSettling}) }
