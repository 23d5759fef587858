package engine

import (
	"context"
	"time"
)

// Unattended insists on the end of what does not stop, where nobody is there to press Stop again: from after on, once
// ctx has been cancelled, until release is called.
func Unattended(ctx context.Context, eng Engine, after time.Duration) (release func()) {
	insister, ok := eng.(Insister)
	if !ok {
		return func() {}
	}
	released := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		wait := time.NewTimer(after)
		defer wait.Stop()
		for {
			select {
			case <-wait.C:
				insister.Insist()
				wait.Reset(100 * time.Millisecond) // it may have come too early
			case <-released:
				return
			}
		}
	})
	return func() {
		stop()
		close(released)
	}
}
