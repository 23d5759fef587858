package ui

import (
	"context"
	"sync"

	"github.com/loupeml/loupe/lib/interrupt"
)

// callbacks are called one after the other.
var callbacks turns

// turns lets one goroutine at a time do something. One that was interrupted, and may never come to its end, keeps
// nobody waiting.
type turns struct {
	mu  sync.Mutex // guards now
	now *turn      // nil where it is nobody's
}

type turn struct {
	ctx   context.Context // of who has it: cancelled at an interrupt
	ended chan struct{}
}

// take waits for a turn; ok is false where the caller was interrupted before it got one. release ends it.
func (t *turns) take() (release func(), ok bool) {
	mine := &turn{ctx: interrupt.Context(), ended: make(chan struct{})}
	for {
		if mine.ctx.Err() != nil {
			return nil, false
		}
		t.mu.Lock()
		now := t.now
		free := now == nil || now.ctx.Err() != nil
		if free {
			t.now = mine
		}
		t.mu.Unlock()
		if free {
			return func() { t.release(mine) }, true
		}
		select {
		case <-now.ended:
		case <-now.ctx.Done():
		case <-mine.ctx.Done():
		}
	}
}

func (t *turns) release(mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == mine {
		t.now = nil
	}
	close(mine.ended)
}
