// Package cell is what compiled cells import: the few things that they share with the process they are loaded into.
//
// It is small on purpose, since it takes part in every cell. Its variables are one, however many cells import it.
package cell

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

var (
	mu      sync.Mutex
	slots   = map[string]any{}
	mains   = map[string]func(){}
	named   = map[string]any{}
	shown   []any
	isShown bool
)

// Slot returns the address of the variable that key stands for. The first to ask provides it, as a pointer. It is not handed out as
// an any, since a type that reflection has made in this process is not identical with the same one in a loaded cell.
func Slot(key string, fresh any) unsafe.Pointer {
	mu.Lock()
	defer mu.Unlock()
	p, ok := slots[key]
	if !ok {
		p = fresh
		slots[key] = fresh
	}
	return (*[2]unsafe.Pointer)(unsafe.Pointer(&p))[1]
}

// Find returns a pointer to the variable that key stands for, nil where there is none.
func Find(key string) any {
	mu.Lock()
	defer mu.Unlock()
	return slots[key]
}

// Drop forgets a variable, so that its memory can be used again.
func Drop(key string) {
	mu.Lock()
	defer mu.Unlock()
	delete(slots, key)
}

// Register notes what running the cell of an import path is; cells call it as they are loaded.
func Register(path string, main func()) {
	mu.Lock()
	defer mu.Unlock()
	mains[path] = main
}

// Main returns what has been registered for an import path, or nil.
func Main(path string) func() {
	mu.Lock()
	defer mu.Unlock()
	return mains[path]
}

// Show takes the value of a cell's last expression.
func Show(values ...any) {
	mu.Lock()
	defer mu.Unlock()
	shown, isShown = values, true
}

// TakeShown returns what has been shown since it was last called.
func TakeShown() (values []any, ok bool) {
	mu.Lock()
	defer mu.Unlock()
	values, ok = shown, isShown
	shown, isShown = nil, false
	return values, ok
}

// Step is how far the running cell has come in its definitions. Its statements set it, and it is read when they have ended.
var Step int

// Wanted is not zero while somebody wants a running cell to stop. It is set by the process, and read by [Poll].
var Wanted atomic.Uint32

// Poll is where a compiled cell can be interrupted: at each turn of a loop and at the entry of functions.
func Poll() {
	if Wanted.Load() != 0 {
		stop()
	}
}

// Copy returns a pointer to a copy of a value that has no address.
func Copy[T any](v T) *T { return &v }

// Type notes a type that a cell declares, as a nil pointer to it.
func Type(path, name string, pointer any) {
	mu.Lock()
	defer mu.Unlock()
	named[path+"."+name] = pointer
}

// TypeOf returns what [Type] has noted, or nil.
func TypeOf(path, name string) any {
	mu.Lock()
	defer mu.Unlock()
	return named[path+"."+name]
}
