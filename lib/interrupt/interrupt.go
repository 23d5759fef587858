// Package interrupt lets a person stop long library work from outside. Whoever runs
// a person's code (the kernel's worker, or a program's main) says with [Use] what
// cancels it; long loops of the library ask [Err] between device steps.
//
// A function that is stopped returns the part that is done beside an error of [Stopped]; nil if there is none. So a result beside
// an error is a part, and one without an error the whole.
//
// The context is one for the process because a person at a prompt types
// m.Logits(images), not m.Logits(ctx, images), and runs one thing at a time.
package interrupt

import (
	"context"
	"errors"
	"fmt"
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

// Is reports whether err is what came of the person's asking to stop.
func Is(err error) bool {
	if err == nil {
		return false
	}
	stopped := Err()
	return stopped != nil && errors.Is(err, stopped)
}

// Stopped is the error of work that an interrupt ended: how much of it was done. It wraps the context's error.
type Stopped struct {
	Work     string // such as "attrib: occlusion"
	Done, Of int    // Of is 0 where nobody knew how much there was to do
	Units    string // what they count, such as "images"
	cause    error
}

// After is the error of work that err ended when so much was done: if err is an interrupt's, a [Stopped], which
// takes the place of one that a part of the work told of; else err itself.
func After(err error, work string, done, of int, units string) error {
	if !Is(err) {
		return err
	}
	return &Stopped{work, done, of, units, Err()}
}

func (s *Stopped) Error() string {
	so := fmt.Sprint(s.Done)
	if s.Of > 0 {
		so += fmt.Sprintf(" of %d", s.Of)
	}
	return fmt.Sprintf("%s: interrupted after %s %s: %v", s.Work, so, s.Units, s.cause)
}

// Unwrap is the context's error.
func (s *Stopped) Unwrap() error { return s.cause }
