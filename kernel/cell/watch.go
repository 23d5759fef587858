package cell

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// A value's own methods say what it is when it is shown. Where they call themselves without end, the stack overflows,
// which takes the process and all variables with it. So calls may go only so deep while values are shown: a [Poll] that
// comes deeper ends the goroutine.

// deepest is how many calls may lie in one another in a run that is watched.
const deepest = 10_000

// far is how much of the stack is used before the calls are counted again, in bytes.
const far = 32 << 10

// watches is how many runs are watched now.
var watches atomic.Int32

// watch is the watch on a run.
type watch struct {
	at   atomic.Uintptr // where on the stack the calls were counted last
	deep atomic.Bool
}

// Watch has the run's calls go only so deep, until release is called, which tells whether they went deeper.
func (r *Run) Watch() (release func() (deep bool)) {
	w := &watch{}
	r.watch.Store(w)
	watches.Add(1)
	recount()
	return func() bool {
		r.watch.Store(nil)
		watches.Add(-1)
		recount()
		return w.deep.Load()
	}
}

// recount notes whether a [Poll] has to look any further.
func recount() {
	stopping.mu.Lock()
	defer stopping.mu.Unlock()
	wants()
}

// look ends the goroutine if its calls go too deep. It counts them only where the stack has come far since.
func (w *watch) look() {
	var here byte
	at := uintptr(unsafe.Pointer(&here))
	if last := w.at.Load(); at-last < far || last-at < far {
		return
	}
	w.at.Store(at)
	var pcs [1]uintptr
	if runtime.Callers(deepest, pcs[:]) > 0 {
		w.deep.Store(true)
		runtime.Goexit()
	}
}
