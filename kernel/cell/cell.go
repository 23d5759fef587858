// Package cell is what compiled cells import: the few things that they share with the process they are loaded into.
//
// It is small on purpose, since it takes part in every cell. Its variables are one, however many cells import it.
package cell

import (
	"sync"
	"unsafe"
)

var (
	mu    sync.Mutex
	slots = map[string]any{}
	mains = map[string]func(){}
	named = map[string]any{}
)

// Slot returns the address of the variable that key stands for. The first to ask provides it, as a pointer. It is not
// handed out as an any, since a type that reflection has made in this process is not identical with the same one in a
// loaded cell.
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

// Constant is the text of an integer constant that is too large for any type.
type Constant string

func (c Constant) String() string { return string(c) }
