package regular

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, socket, link, "/dev/zero", dir} {
		done := make(chan error, 1)
		go func() { _, err := ReadFile(path); done <- err }()
		select {
		case err := <-done:
			var at *fs.PathError
			if !errors.Is(err, ErrKind) || !errors.As(err, &at) || at.Path != path {
				t.Errorf("%s: %v", path, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s is waited for", path)
		}
	}
	if _, _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestFilesAreReadWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, size := range []int{0, 1, 511, 70000} {
		want := strings.Repeat("x", size)
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%d bytes of %d, %v", len(got), size, err)
		}
		if got, err := ReadUpTo(path, int64(size)); err != nil || len(got) != size {
			t.Errorf("up to its size: %d bytes of %d, %v", len(got), size, err)
		}
		if size > 0 {
			if _, err := ReadUpTo(path, int64(size-1)); err == nil || !strings.Contains(err.Error(), "too large") {
				t.Errorf("up to one less than its size: %v", err)
			}
		}
	}
	if got, err := ReadFile("/proc/self/status"); err == nil && len(got) == 0 {
		t.Error("a file that tells of no bytes is not read")
	}
}
