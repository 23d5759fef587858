package goeval

import (
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

// linked returns t if it is a type that this program or a loaded cell has been compiled with. A type that reflection
// has made while the process runs is not identical with the one that a cell compiled later has: a type assertion there
// would fail.
func linked(t reflect.Type) (reflect.Type, bool) {
	if _, ok := linkedTypes.Load(t); ok {
		return t, true
	}
	address := uintptr((*[2]unsafe.Pointer)(unsafe.Pointer(&t))[1])
	for _, r := range fileMappings() {
		if address >= r[0] && address < r[1] {
			linkedTypes.Store(t, true)
			return t, true
		}
	}
	return nil, false
}

var linkedTypes sync.Map

// fileMappings returns the ranges of the address space into which files are mapped; none where the system does not
// tell.
func fileMappings() [][2]uintptr {
	data, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil
	}
	var out [][2]uintptr
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasPrefix(fields[5], "/") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		a, err1 := strconv.ParseUint(from, 16, 64)
		b, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil {
			out = append(out, [2]uintptr{uintptr(a), uintptr(b)})
		}
	}
	return out
}
