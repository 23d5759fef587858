package failure

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

func TestErrorsOfOneLine(t *testing.T) {
	for was, want := range map[string]string{
		"node größe (Add) has 三 inputs": "node größe (Add) has 三 inputs",
		"node a\nb (Add)":               `node a\nb (Add)`,
		"a\x00b\xff\u202ec\x1b[31m":     `a\x00b\xff\u202ec\x1b[31m`,
	} {
		if got := OneLine(errors.New(was)).Error(); got != want {
			t.Errorf("%q became %q", was, got)
		}
	}
	long := fmt.Errorf("begins %w ends", &fs.PathError{Op: "open", Path: strings.Repeat("x", 1e5), Err: fs.ErrNotExist})
	short := OneLine(long)
	if text := short.Error(); len(text) > 2*mostLine || !strings.HasPrefix(text, "begins") ||
		!strings.HasSuffix(text, "ends") {
		t.Errorf("%d bytes: %.100s", len(text), text)
	}
	if !errors.Is(short, fs.ErrNotExist) {
		t.Error("what lies behind it is lost")
	}
	if OneLine(nil) != nil {
		t.Error("no error is one")
	}
}
