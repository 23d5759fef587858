// Package child is the worker process's side: it evaluates what the kernel asks for.
package child

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/traefik/yaegi/interp"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval"
	"github.com/loupeml/loupe/kernel/worker/protocol"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
)

// child is the worker process's side of the pipes.
type child struct {
	in *goeval.Evaluator // guarded by busy

	mu      sync.Mutex // guards encoder, and the fields below
	encoder *gob.Encoder
	current int                // request of the running cell
	cancel  context.CancelFunc // of the running cell; nil when none runs

	busy       sync.Mutex // held while the evaluator is made or in use
	unprepared error      // why there is no evaluator

	showing sync.Mutex    // held from a display until the parent has passed it on
	shown   chan struct{} // receives when it has

	stdin stdin
}

// Serve answers the parent's requests on descriptors 3 and 4 until the parent closes its end.
func Serve(symbols []interp.Exports, prefer map[string]string) error {
	requests, replies := os.NewFile(3, "requests"), os.NewFile(4, "replies")
	c := &child{encoder: gob.NewEncoder(replies), shown: make(chan struct{}, 1)}
	display.SetSink(c)
	c.stdin.child = c
	reader := bufio.NewReader(&c.stdin)
	// The kernel need not wait for what only the first cell needs.
	c.busy.Lock()
	go func() {
		defer c.busy.Unlock()
		tools, err := prepare(symbols, func(line string) { fmt.Fprintln(os.Stderr, line) })
		if err != nil {
			c.unprepared = err
			return
		}
		c.in = goeval.New(goeval.Options{Toolchain: tools, Symbols: forCells(symbols, reader), Linked: linked(), Prefer: prefer, Stdin: reader, Present: display.BundleOf, Magics: magics, NoShell: os.Getenv("LOUPE_NO_SHELL") != ""})
		c.in.Preload(preload...)
	}()
	if err := c.send(protocol.Message{Kind: protocol.IsReady}); err != nil {
		return fmt.Errorf("worker: descriptors 3 and 4 are not the parent's pipes: %w", err)
	}
	decoder := gob.NewDecoder(requests)
	for {
		var r protocol.Request
		if err := decoder.Decode(&r); err != nil {
			if errors.Is(err, io.EOF) {
				// The parent wants us to leave.
				if c.busy.TryLock() && c.in != nil {
					return c.in.Close()
				}
				return nil
			}
			return fmt.Errorf("worker: %w", err)
		}
		switch r.Op {
		case protocol.Eval:
			// The cancel function is in place before the next request, which may be the interrupt, is read.
			ctx, cancel := context.WithCancel(context.Background())
			c.mu.Lock()
			c.current, c.cancel = r.ID, cancel
			c.mu.Unlock()
			go c.eval(ctx, cancel, r)
		case protocol.Interrupt:
			c.mu.Lock()
			if c.cancel != nil && c.current == r.ID {
				c.cancel()
			}
			c.mu.Unlock()
		case protocol.Shown:
			c.shown <- struct{}{}
		case protocol.Typed:
			c.stdin.typed(r)
		case protocol.Complete:
			go c.complete(r)
		case protocol.Inspect:
			go c.inspect(r)
		case protocol.IsComplete:
			m := protocol.Message{ID: r.ID, Kind: protocol.IsCompleteness}
			m.Completeness, m.Indent = goeval.IsComplete(r.Source)
			c.send(m)
		}
	}
}

func (c *child) send(m protocol.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.encoder.Encode(m)
}

func (c *child) eval(ctx context.Context, cancel context.CancelFunc, r protocol.Request) {
	c.busy.Lock()
	defer c.busy.Unlock()
	var result engine.Result
	var names []string
	if c.unprepared != nil {
		result.Failure = &engine.Failure{Name: "NotPrepared", Message: c.unprepared.Error(), Traceback: []string{"\x1b[31mNotPrepared\x1b[0m: " + c.unprepared.Error()}}
	} else {
		release := interrupt.Use(ctx)
		result = c.in.Eval(ctx, r.Cell)
		release()
		names = c.in.Names()
	}
	cancel()
	c.mu.Lock()
	c.cancel = nil
	c.mu.Unlock()
	c.send(protocol.Message{ID: r.ID, Kind: protocol.IsResult, Result: result, Names: names})
}

// complete and inspect look at the interpreter's names, and so only between cells; while one runs they know nothing.
func (c *child) complete(r protocol.Request) {
	m := protocol.Message{ID: r.ID, Kind: protocol.IsCompleted, Start: r.Cursor, End: r.Cursor}
	if c.busy.TryLock() {
		if c.in != nil {
			unlessItPanics(func() { m.Matches, m.Start, m.End = c.in.Complete(r.Source, r.Cursor) })
		}
		c.busy.Unlock()
	}
	c.send(m)
}

func (c *child) inspect(r protocol.Request) {
	m := protocol.Message{ID: r.ID, Kind: protocol.IsInspected}
	if c.busy.TryLock() {
		if c.in != nil {
			unlessItPanics(func() { m.Bundle, m.Found = c.in.Inspect(r.Source, r.Cursor, r.Detail) })
		}
		c.busy.Unlock()
	}
	c.send(m)
}

// unlessItPanics looks something up. A value whose own methods panic when it is shown costs the answer, not
// the process with all variables.
func unlessItPanics(look func()) {
	defer func() {
		if value := recover(); value != nil {
			fmt.Fprintln(os.Stderr, "worker: looking at the variables failed:", value)
		}
	}()
	look()
}

// Display shows a bundle in the front end; it makes child a display.Sink.
func (c *child) Display(b mime.Bundle, update bool) {
	c.show(protocol.Message{ID: c.request(), Kind: protocol.IsDisplay, Bundle: b, Update: update})
}

// Clear removes what the cell has shown.
func (c *child) Clear(wait bool) {
	c.show(protocol.Message{ID: c.request(), Kind: protocol.IsClear, Wait: wait})
}

// show sends a message and waits until the parent has passed it on: what is printed next goes another
// way, and must not overtake it.
func (c *child) show(m protocol.Message) {
	c.showing.Lock()
	defer c.showing.Unlock()
	if c.send(m) == nil {
		<-c.shown
	}
}

func (c *child) request() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}
