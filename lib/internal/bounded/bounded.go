// Package bounded checks readers of files that may hold anything.
package bounded

import (
	"runtime"
	"strings"
	"testing"
)

// Read reads something of so many bytes that may hold anything. It fails where the error is not of one line, or is
// Go's own, or where memory is taken that the bytes do not fill: more than 64 MB and 200 bytes for each.
func Read(t *testing.T, size int, read func() error) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := read()
	runtime.ReadMemStats(&after)
	if made := after.TotalAlloc - before.TotalAlloc; made > 64<<20+200*uint64(size) {
		t.Errorf("%d bytes take %d MB: %v", size, made>>20, err)
	}
	if err != nil && (strings.ContainsAny(err.Error(), "\n\r") || strings.Contains(err.Error(), "runtime error") ||
		err.Error() == "") {
		t.Errorf("the error is %q", err)
	}
	return err
}
