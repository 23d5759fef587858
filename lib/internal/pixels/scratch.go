package pixels

import "sync"

// spare are buffers that nobody uses, by the type of their elements: *sync.Pool of *[]T under the key T(0).
var spare sync.Map

// Scratch lends a buffer of n elements, whose values are what its last user left, until release is called. Without it, most of the memory that a large batch takes
// would be garbage.
func Scratch[T any](n int) (buffer []T, release func()) {
	var key T
	pool, ok := spare.Load(any(key))
	if !ok {
		pool, _ = spare.LoadOrStore(any(key), &sync.Pool{New: func() any { return new([]T) }})
	}
	held := pool.(*sync.Pool).Get().(*[]T)
	if cap(*held) < n {
		*held = make([]T, n)
	}
	return (*held)[:n], func() { pool.(*sync.Pool).Put(held) }
}
