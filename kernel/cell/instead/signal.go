package instead

import (
	"context"
	"os"
	"os/signal"
	"slices"

	"github.com/loupeml/loupe/kernel/cell"
)

// The functions of package os/signal: Stop is what an interrupt is in a notebook.

// interrupts reports whether a list of signals has the interrupt among it; the empty one has all.
func interrupts(signals []os.Signal) bool {
	return len(signals) == 0 || slices.Contains(signals, os.Interrupt)
}

// Notify is signal.Notify.
func Notify(c chan<- os.Signal, signals ...os.Signal) {
	signal.Notify(c, signals...)
	if interrupts(signals) {
		cell.Listen(c)
	}
}

// Stop is signal.Stop.
func Stop(c chan<- os.Signal) {
	cell.Unlisten(c)
	signal.Stop(c)
}

// NotifyContext is signal.NotifyContext.
func NotifyContext(parent context.Context, signals ...os.Signal) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, signals...)
	if !interrupts(signals) {
		return ctx, stop
	}
	ctx, cancel := context.WithCancelCause(ctx)
	c := make(chan os.Signal) // without room: one that nobody waits on any more hears nothing
	cell.Listen(c)
	go func() {
		cell.Leave() // it is not the cell's, and nothing waits for its end
		defer cell.Unlisten(c)
		select {
		case <-c:
			cancel(interruptedError{})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		stop()
		cancel(context.Canceled)
	}
}

// interruptedError is the cause that signal.NotifyContext gives.
type interruptedError struct{}

func (interruptedError) Error() string { return "interrupt signal received" }
