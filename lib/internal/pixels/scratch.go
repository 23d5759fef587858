package pixels

import (
	"math/bits"
	"sync"
)

// shelf has buffers that nobody uses, *[]T, by the length of their size in binary: what is lent again is seldom too
// small, and never much too large.
type shelf [bits.UintSize + 1]sync.Pool

// shelves are one for each type of element, by its zero value.
var shelves sync.Map

// Scratch lends a buffer of n elements, whose values are what its last user left, until release is called. Without it,
// most of the memory that a large batch takes would be garbage.
func Scratch[T any](n int) (buffer []T, release func()) {
	var zero T
	s, ok := shelves.Load(any(zero))
	if !ok {
		s, _ = shelves.LoadOrStore(any(zero), new(shelf))
	}
	pool := &s.(*shelf)[bits.Len(uint(n))]
	held, ok := pool.Get().(*[]T)
	if !ok {
		held = new([]T)
	}
	if cap(*held) < n {
		*held = make([]T, n)
	}
	return (*held)[:n], func() { pool.Put(held) }
}
