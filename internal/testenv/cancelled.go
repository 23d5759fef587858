package testenv

import "context"

// Countdown is a context that is cancelled once it has been asked some times whether it is: an interrupt in the middle of a loop.
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
