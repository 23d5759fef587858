package worker

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/traefik/yaegi/interp"

	"github.com/loupeml/loupe/kernel/goeval"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
)

func init() {
	// What the metadata of a bundle may hold.
	gob.Register(map[string]any{})
	gob.Register([]any{})
}

// child is the worker process's side of the pipes.
type child struct {
	in *goeval.Interpreter

	mu      sync.Mutex // guards encoder, and the fields below
	encoder *gob.Encoder
	current int                // request of the running cell
	cancel  context.CancelFunc // of the running cell; nil when none runs

	busy sync.Mutex // held while the interpreter is in use
}

// Serve answers the parent's requests on descriptors 3 and 4 until the parent closes its end.
func Serve(symbols []interp.Exports, prefer map[string]string) error {
	requests, replies := os.NewFile(3, "requests"), os.NewFile(4, "replies")
	c := &child{encoder: gob.NewEncoder(replies)}
	display.SetSink(c)
	c.in = goeval.New(goeval.Options{Symbols: symbols, Prefer: prefer, Present: display.BundleOf})
	if err := c.send(message{Kind: kindReady}); err != nil {
		return fmt.Errorf("worker: descriptors 3 and 4 are not the parent's pipes: %w", err)
	}
	decoder := gob.NewDecoder(requests)
	for {
		var r request
		if err := decoder.Decode(&r); err != nil {
			if errors.Is(err, io.EOF) {
				return nil // the parent wants us to leave
			}
			return fmt.Errorf("worker: %w", err)
		}
		switch r.Op {
		case opEval:
			// The cancel function is in place before the next request, which may be the interrupt, is read.
			ctx, cancel := context.WithCancel(context.Background())
			c.mu.Lock()
			c.current, c.cancel = r.ID, cancel
			c.mu.Unlock()
			go c.eval(ctx, cancel, r)
		case opInterrupt:
			c.mu.Lock()
			if c.cancel != nil && c.current == r.ID {
				c.cancel()
			}
			c.mu.Unlock()
		case opComplete:
			go c.complete(r)
		case opInspect:
			go c.inspect(r)
		}
	}
}

func (c *child) send(m message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.encoder.Encode(m)
}

func (c *child) eval(ctx context.Context, cancel context.CancelFunc, r request) {
	c.busy.Lock()
	defer c.busy.Unlock()
	release := interrupt.Use(ctx)
	result := c.in.Eval(ctx, r.Cell)
	release()
	cancel()
	c.mu.Lock()
	c.cancel = nil
	c.mu.Unlock()
	c.send(message{ID: r.ID, Kind: kindResult, Result: result, Names: c.in.Names()})
}

// complete and inspect look at the interpreter's names, and so only between cells; while one runs they know nothing.
func (c *child) complete(r request) {
	m := message{ID: r.ID, Kind: kindCompleted, Start: r.Cursor, End: r.Cursor}
	if c.busy.TryLock() {
		m.Matches, m.Start, m.End = c.in.Complete(r.Source, r.Cursor)
		c.busy.Unlock()
	}
	c.send(m)
}

func (c *child) inspect(r request) {
	m := message{ID: r.ID, Kind: kindInspected}
	if c.busy.TryLock() {
		m.Bundle, m.Found = c.in.Inspect(r.Source, r.Cursor)
		c.busy.Unlock()
	}
	c.send(m)
}

// Display shows a bundle in the front end; it makes child a display.Sink.
func (c *child) Display(b mime.Bundle, update bool) {
	c.send(message{ID: c.request(), Kind: kindDisplay, Bundle: b, Update: update})
}

// Clear removes what the cell has shown.
func (c *child) Clear(wait bool) {
	c.send(message{ID: c.request(), Kind: kindClear, Wait: wait})
}

func (c *child) request() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}
