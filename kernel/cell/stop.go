package cell

import (
	"context"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	_ "unsafe" // for the name of a goroutine's label
)

// label is that of the calling goroutine, which goroutines inherit from the one that starts them.
//
//go:linkname label runtime/pprof.runtime_getProfLabel
func label() uintptr

// wanted is not zero while a running cell has to stop, or is watched.
var wanted atomic.Uint32

// labels are those of goroutines that have to end: of cells that were interrupted and may have left goroutines behind
// which wait for something, and end when they wake up. The labels themselves are kept, so that no other cell gets one
// of the same address.
type labels struct {
	mu  sync.Mutex // held while all is changed
	all atomic.Pointer[map[uintptr]context.Context]
}

var stopping labels

// change adds a label, or removes it where keep is nil.
func (s *labels) change(label uintptr, keep context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[uintptr]context.Context{}
	if old := s.all.Load(); old != nil {
		maps.Copy(all, *old)
	}
	delete(all, label)
	if keep != nil {
		all[label] = keep
	}
	s.all.Store(&all)
	wants()
}

// wants notes whether a [Poll] has to look any further.
func wants() {
	if all := stopping.all.Load(); all != nil && len(*all) > 0 || watches.Load() > 0 {
		wanted.Store(1)
	} else {
		wanted.Store(0)
	}
}

// Poll is where a compiled cell can be interrupted: at each turn of a loop and at the entry of functions.
func Poll() {
	if wanted.Load() != 0 {
		stop()
	}
}

// stop ends the goroutine if it is one of those that have to end. Its deferred calls run, and cannot hinder it.
func stop() {
	if all := stopping.all.Load(); all != nil {
		if _, ok := (*all)[label()]; ok {
			runtime.Goexit()
		}
	}
	if watches.Load() > 0 {
		if r := Current(); r != nil {
			if w := r.watch.Load(); w != nil {
				w.look()
			}
		}
	}
}
