package atrest_test

import (
	"runtime"
	"strings"
	"testing"
	"unicode"

	"github.com/loupeml/loupe/internal/atrest"
	"github.com/loupeml/loupe/internal/procfs"
)

// What the program has looked at of its own file is let go of, and is there again when it is needed.
func TestRelease(t *testing.T) {
	look := func() (letters int) { // through tables that lie in the program's file
		for _, table := range unicode.Scripts {
			for _, r := range table.R32 {
				letters += int(r.Hi-r.Lo) + 1
			}
		}
		return letters
	}
	before := look()
	const status = "/proc/self/status"
	mapped := procfs.Bytes(status, "RssFile:")
	atrest.Release()
	if left := procfs.Bytes(status, "RssFile:"); runtime.GOOS == "linux" && left >= mapped {
		t.Errorf("%d bytes of files are mapped, %d were before", left, mapped)
	}
	if after := look(); after != before {
		t.Errorf("the tables have %d letters, had %d", after, before)
	}
	if s := strings.Repeat("x", 1<<20); len(s) != 1<<20 {
		t.Error("memory cannot be taken any more")
	}
}
