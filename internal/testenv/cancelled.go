package testenv

import (
	"context"
	"errors"
	"testing"

	"github.com/loupeml/loupe/lib/interrupt"
)

// Countdown is a context that is cancelled once it has been asked some times whether it is: an interrupt in the middle
// of a loop.
type Countdown struct {
	context.Context
	Left int // questions
}

// CancelledAfter returns a context that is cancelled after some questions.
func CancelledAfter(questions int) *Countdown {
	return &Countdown{context.Background(), questions}
}

// Err counts the questions.
func (c *Countdown) Err() error {
	if c.Left--; c.Left < 0 {
		return context.Canceled
	}
	return nil
}

// Interrupt interrupts do at its first question, at its second, and so on until it runs to its end. have compares a
// part that it returns with the whole and says how much is in it, 0 for nothing. It fails where the error is not an
// interrupt's or does not say that so much is done, where a later interrupt leaves less, where none leaves a part, and
// where do goes on asking once it has been told to stop.
func Interrupt[T any](t *testing.T, do func() (T, error), have func(part T) int) {
	t.Helper()
	most := 0
	for questions := 0; ; questions++ {
		ctx := CancelledAfter(questions)
		release := interrupt.Use(ctx)
		part, err := do()
		release()
		if err == nil {
			break
		}
		var stopped *interrupt.Stopped
		if !errors.Is(err, context.Canceled) || !errors.As(err, &stopped) {
			t.Fatalf("interrupted at question %d the error is %v", questions, err)
		}
		const told = 12 // to stop, at several levels
		if ctx.Left < -told {
			t.Errorf("interrupted at question %d it asks %d times more", questions, -ctx.Left-1)
		}
		n := have(part)
		if n < most || n > 0 && n != stopped.Done {
			t.Fatalf("interrupted at question %d it returns %d, after %d of an earlier interrupt: %v", questions, n, most, err)
		}
		most = n
	}
	if most == 0 {
		t.Error("no interrupt leaves a part")
	}
}
