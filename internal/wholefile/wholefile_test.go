package wholefile_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
