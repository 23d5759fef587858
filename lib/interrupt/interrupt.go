// Package interrupt lets a person stop long library work from outside. Whoever runs
// a person's code (the kernel's worker, or a program's main) says with [Use] what
// cancels it; long loops of the library ask [Err] between device steps.
//
// The context is one for the process because a person at a prompt types
// m.Logits(images), not m.Logits(ctx, images), and runs one thing at a time.
package interrupt

import (
	"context"
	"sync/atomic"
)

var current atomic.Pointer[context.Context]

// Use makes ctx what [Err] reports on, until release is called.
func Use(ctx context.Context) (release func()) {
	previous := current.Swap(&ctx)
	return func() { current.CompareAndSwap(&ctx, previous) }
}

// Context returns the context in use; context.Background() when there is none.
func Context() context.Context {
	if c := current.Load(); c != nil {
		return *c
	}
	return context.Background()
}

// Err returns a non-nil error once the person has asked to stop.
func Err() error { return Context().Err() }
