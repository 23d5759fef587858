package cell

import (
	"runtime"
	"slices"
	"sync/atomic"
	_ "unsafe" // for the name of a goroutine's label
)

// label is that of the calling goroutine, which goroutines inherit from the one that starts them.
//
//go:linkname label runtime/pprof.runtime_getProfLabel
func label() uintptr

// Label returns what distinguishes the goroutines of one cell from those of others.
func Label() uintptr { return label() }

// stopping holds the labels of goroutines that have to end. There is one for each cell that was interrupted and may have left
// goroutines behind which wait for something, and end when they wake up.
var stopping atomic.Pointer[[]uintptr]

// Stop has the goroutines of a label end as soon as they come to a [Poll].
func Stop(label uintptr) {
	var labels []uintptr
	if old := stopping.Load(); old != nil {
		labels = append(labels, *old...)
	}
	labels = append(labels, label)
	stopping.Store(&labels)
	Wanted.Store(1)
}

// stop ends the goroutine if it is one of those that have to end. Its deferred calls run, and cannot hinder it.
func stop() {
	if labels := stopping.Load(); labels != nil && slices.Contains(*labels, label()) {
		runtime.Goexit()
	}
}

// Done is closed when the running cell has to stop. The process sets it.
var Done atomic.Pointer[<-chan struct{}]

// Interrupted returns the channel that is closed when the running cell has to stop, nil where none runs.
func Interrupted() <-chan struct{} {
	if c := Done.Load(); c != nil {
		return *c
	}
	return nil
}
