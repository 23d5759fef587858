package goeval

import (
	"fmt"
	"os"
	"sync"

	"github.com/loupeml/loupe/internal/procfs"
	"github.com/loupeml/loupe/kernel/toolchain"
)

// loads counts what compiled cells take of the memory. Go cannot unload a plugin: only a new process frees it.
type loads struct {
	loading sync.Mutex // held while one is loaded

	mu    sync.Mutex
	cells int
	bytes int
	told  int // when the person was told, last
}

// tellEvery is how much memory of compiled cells the person is told of.
const tellEvery = 1 << 30

// load loads a compiled cell, and tells when the loaded ones have come to take much memory.
func (e *Evaluator) load(b *toolchain.Built) error {
	e.loads.loading.Lock()
	defer e.loads.loading.Unlock()
	before := procfs.Bytes("/proc/self/status", "VmRSS:")
	if err := e.options.Toolchain.Load(b); err != nil {
		return err
	}
	l := &e.loads
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cells++
	if grown := procfs.Bytes("/proc/self/status", "VmRSS:") - before; grown > 0 {
		l.bytes += grown
	}
	available := procfs.Bytes("/proc/meminfo", "MemAvailable:")
	if l.bytes-l.told >= tellEvery || available > 0 && l.bytes > available && l.bytes-l.told >= tellEvery/8 {
		l.told = l.bytes
		fmt.Fprintf(os.Stderr, "loupe: the %d compiled cells of this session take %.1f GB of memory, and %.1f GB are "+
			"left; restart the kernel to free it\n", l.cells, float64(l.bytes)/1e9, float64(available)/1e9)
	}
	return nil
}
