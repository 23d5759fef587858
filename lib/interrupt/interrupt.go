// Package interrupt lets a person stop long library work from outside. Whoever runs
// a person's code says what cancels it, a program's main with [Use] and the kernel's worker with a [Scope] for each
// cell; long loops of the library ask [Err] between device steps, and say with [Busy] what cannot be stopped.
//
// A function that is stopped returns the part that is done beside an error of [Stopped]; nil if there is none. So a
// result beside an error is a part, and one without an error the whole.
//
// Nobody passes a context along, because a person at a prompt types m.Logits(images), not m.Logits(ctx, images). What a
// goroutine is interrupted by is found by the goroutine itself: see [Scope].
package interrupt

import (
	"context"
	"errors"
	"fmt"
)

// Use makes ctx what [Err] reports on, until release is called: in the calling goroutine's cell, or in the whole
// program where there are no cells.
func Use(ctx context.Context) (release func()) {
	s := current()
	previous := s.used.Swap(&ctx)
	return func() { s.used.CompareAndSwap(&ctx, previous) }
}

// Context returns the context in use; it is never cancelled where nobody has called [Use] and there are no cells.
func Context() context.Context {
	s := current()
	if used := s.used.Load(); used != nil {
		return *used
	}
	return s.ctx
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
