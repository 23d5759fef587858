package repl

import (
	"context"
	"os"
	"os/signal"

	"github.com/loupeml/loupe/kernel/engine"
)

// interruptible returns a context that ends with the first Ctrl-C. Those after it insist, until release is called.
func interruptible(ctx context.Context, eng engine.Engine) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancel(ctx)
	pressed, released := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(pressed, os.Interrupt)
	go func() {
		for {
			select {
			case <-pressed:
				if insister, ok := eng.(engine.Insister); ok && ctx.Err() != nil {
					insister.Insist()
				}
				cancel()
			case <-released:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(pressed)
		close(released)
		cancel()
	}
}
