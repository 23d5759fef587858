package wholefile_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/loupeml/loupe/internal/wholefile"
)

func text(s string) func(w io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func TestAFileIsWrittenAsAWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := wholefile.Write(path, text("one")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := wholefile.Write(path, func(w io.Writer) error {
		if err := text(strings.Repeat("two", 1<<20))(w); err != nil { // more than is kept before it is written
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "one" {
		t.Errorf("it holds %.20q, %v", got, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v is left, %v", left, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("it is %v, %v", info.Mode(), err)
	}
	err = wholefile.Write(filepath.Join(filepath.Dir(path), "none", "f"), text(""))
	if !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "writing") {
		t.Errorf("in no folder: %v", err)
	}
}

// A file that is written again stays as open to others as it was.
func TestAFileKeepsItsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, mode := range []fs.FileMode{0o640, 0o600, 0o664} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := wholefile.Write(path, text("two")); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%v became %v, %v", mode, info.Mode(), err)
		}
	}
}

// Links stay, and lead to the file that they led to, which need not be there yet.
func TestALinkStays(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, folder := range []string{"a/b", "c"} {
		if err := os.MkdirAll(at(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"a/b/link": "../file", "c/b": "../a/b", "first": "second",
		"second": at("a/b/link"), "round": "round"} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"a/b/link", "c/b/link", "first"} {
		if err := wholefile.Write(at(path), text(path)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(at("a/file")); err != nil || string(got) != path {
			t.Errorf("by %s: %q, %v", path, got, err)
		}
		if info, err := os.Lstat(at(path)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is a link no more: %v, %v", path, info.Mode(), err)
		}
	}
	if err := wholefile.Write(at("round"), text("")); err == nil || !strings.Contains(err.Error(), "lead to each other") {
		t.Errorf("a link to itself: %v", err)
	}
}

// A device or a pipe is not replaced by a file.
func TestWhatIsNoFileStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := wholefile.Write(path, text("")); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("it is %v, %v", info.Mode(), err)
	}
}
