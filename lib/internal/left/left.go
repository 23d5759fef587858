// Package left keeps what a call had done when an error ended it, for cells that take no error and with it lose what
// stands beside it.
package left

import "sync/atomic"

var last atomic.Pointer[any]

// Keep makes a part the last one.
func Keep(part any) { last.Store(&part) }

// Last is the last part that was kept; nil if there was none.
func Last() any {
	if p := last.Load(); p != nil {
		return *p
	}
	return nil
}

// Beside gives its arguments back, and keeps a part that stands beside an error.
func Beside[T any](part *T, err error) (*T, error) {
	if err != nil && part != nil {
		Keep(part)
	}
	return part, err
}
