// Package child is the worker process's side: it evaluates what the kernel asks for.
package child

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/traefik/yaegi/interp"

	"github.com/loupeml/loupe/internal/atrest"
	"github.com/loupeml/loupe/internal/procfs"
	"github.com/loupeml/loupe/internal/procs"
	"github.com/loupeml/loupe/internal/scratch"
	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/cell/instead"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval"
	"github.com/loupeml/loupe/kernel/worker/protocol"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/sink"
)

// maxStack is how deep a goroutine's calls may go, in bytes. Go's own limit takes seconds to reach.
const maxStack = 128 << 20

// child is the worker process's side of the pipes.
type child struct {
	in *goeval.Evaluator // once prepared

	prepared   chan struct{} // closed when there is an evaluator, or unprepared says why not
	unprepared error

	mu      sync.Mutex // guards the fields below
	encoder *gob.Encoder
	last    int                      // request of the cell that began last
	running map[int]*interrupt.Scope // by request

	showing sync.Mutex    // held from a display until the parent has passed it on
	shown   chan struct{} // receives when it has

	stdin stdin
	stdio stdio
}

// Serve answers the parent's requests on descriptors 3 and 4 until the parent closes its end.
func Serve(symbols []interp.Exports, prefer map[string]string) error {
	// A read that blocked the thread would keep its processor from what the last request has woken, for as long as it
	// takes the scheduler to notice: an interrupt would come ten milliseconds late.
	syscall.SetNonblock(3, true)
	// Programs that cells start do not get the pipes to the kernel: they would hold them open when this process has ended.
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	parent := os.Getppid()
	requests, replies := os.NewFile(3, "requests"), os.NewFile(4, "replies")
	collect := debug.SetGCPercent(-1) // what is made before the first cell is kept, nearly all of it
	c := &child{encoder: gob.NewEncoder(replies), prepared: make(chan struct{}), running: map[int]*interrupt.Scope{},
		shown: make(chan struct{}, 1)}
	c.stdio = keepStdio()
	debug.SetMaxStack(maxStack)
	gonbVariables()
	flag.CommandLine.Init(os.Args[0], flag.PanicOnError) // cells use it, and an unknown flag fails the cell
	sink.Use(c)
	comm.SetSender(c.comm)
	c.stdin.child = c
	instead.Text, instead.Settle = c.printed, c.settle
	log.SetOutput(instead.Stderr)
	unbuffer()
	reader := bufio.NewReader(&c.stdin)
	go func() {
		// The kernel need not wait for what only the first cell needs, nor the first cell for what it does not import.
		c.prepare(symbols, prefer, reader)
		if c.in != nil {
			c.in.Preload(preload...)
		}
		debug.SetGCPercent(collect)
		c.rest()
	}()
	if err := c.send(protocol.Message{Kind: protocol.IsReady}); err != nil {
		return fmt.Errorf("worker: descriptors 3 and 4 are not the parent's pipes: %w", err)
	}
	decoder := gob.NewDecoder(requests)
	for {
		var r protocol.Request
		if err := decoder.Decode(&r); err != nil {
			if errors.Is(err, io.EOF) {
				// The parent wants us to leave, or was killed, and nobody else ends what its cells have started.
				if os.Getppid() != parent || procfs.Leaving(parent) {
					procs.End(procs.KernelOf(os.Getenv(procs.Mark)))
				}
				if in := c.evaluator(); in != nil && !c.busy() {
					in.Close()
				}
				return scratch.Remove()
			}
			return fmt.Errorf("worker: %w", err)
		}
		switch r.Op {
		case protocol.Eval:
			// The scope is in place before the next request, which may be the interrupt, is read.
			go c.eval(c.begin(r.ID), r)
		case protocol.Comm:
			go c.receive(c.begin(r.ID), r)
		case protocol.Convert:
			go c.convert(c.begin(r.ID), r)
		case protocol.Interrupt:
			if scope := c.scope(r.ID); scope != nil {
				go c.interrupt(r.ID, scope, r.Again)
			}
		case protocol.Stop:
			if in := c.evaluator(); in != nil {
				in.StopLeftBehind()
			}
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

// prepare makes the evaluator.
func (c *child) prepare(symbols []interp.Exports, prefer map[string]string, stdin *bufio.Reader) {
	defer close(c.prepared)
	tools, err := prepare(symbols, func(line string) { fmt.Fprintln(os.Stderr, line) })
	if err != nil {
		c.unprepared = err
		return
	}
	c.in = goeval.New(goeval.Options{
		Toolchain: tools, Symbols: forCells(symbols, stdin), Linked: linked(), Prefer: prefer, Stdin: stdin, Ask: c.stdin.ask,
		Stdout:  instead.Stdout,
		Present: display.BundleOf, Describe: display.TextOf, Magics: magics, Strings: namesIn,
		NoShell: os.Getenv("LOUPE_NO_SHELL") != "",
	})
}

// rest gives back what only the start needed, unless a cell runs that may need it.
func (c *child) rest() {
	time.Sleep(atrest.After)
	if !c.busy() {
		atrest.Release()
	}
}

// gonbVariables sets those variables of the environment that GoNB sets for its cells.
func gonbVariables() {
	if dir, err := os.Getwd(); err == nil {
		os.Setenv("GONB_DIR", dir)
	}
	if dir, err := scratch.Dir(); err == nil {
		os.Setenv("GONB_TMP_DIR", dir)
	}
}

func (c *child) send(m protocol.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.encoder.Encode(m)
}

// requestKey finds in a cell's context the request that it runs for.
type requestKey struct{}

// begin notes that a cell runs. Its context is cancelled at an interrupt.
func (c *child) begin(id int) context.Context {
	scope := interrupt.NewScope(context.WithValue(context.Background(), requestKey{}, id))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.running[id] = id, scope
	return scope.Context()
}

// end notes that a cell has ended, and answers its request. Its context is not cancelled: what it has left behind,
// asleep perhaps, goes on.
func (c *child) end(id int, answer protocol.Message) {
	c.mu.Lock()
	delete(c.running, id)
	c.mu.Unlock()
	answer.ID, answer.Kind = id, protocol.IsResult
	c.send(answer)
}

// scope returns that of a running cell, nil where it has ended.
func (c *child) scope(id int) *interrupt.Scope {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[id]
}

// interrupt stops a cell, unless the cell takes the interrupt for itself, which it can do once.
func (c *child) interrupt(id int, scope *interrupt.Scope, again bool) {
	if !again && cell.Notify() {
		c.send(protocol.Message{ID: id, Kind: protocol.IsHeard})
		return
	}
	scope.Stop()
	c.tellBusy(id)
}

// busyEvery is how often an interrupted cell is asked what it is at.
const busyEvery = 100 * time.Millisecond

// tellBusy tells the parent what an interrupted cell is at that cannot be stopped, until the cell has ended.
func (c *child) tellBusy(id int) {
	told := ""
	for scope := c.scope(id); scope != nil; scope = c.scope(id) {
		if what := scope.Busy(); what != told {
			told = what
			c.send(protocol.Message{ID: id, Kind: protocol.IsBusy, Text: what})
		}
		time.Sleep(busyEvery)
	}
}

func (c *child) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.running) > 0
}

// evaluator returns the evaluator if it is ready.
func (c *child) evaluator() *goeval.Evaluator {
	select {
	case <-c.prepared:
		return c.in
	default:
		return nil
	}
}

func (c *child) eval(ctx context.Context, r protocol.Request) {
	var answer protocol.Message
	defer func() { c.end(r.ID, answer) }()
	if answer.Result.Failure = c.notPrepared(); answer.Result.Failure != nil {
		return
	}
	c.stdio.restore()
	answer.Result = c.in.Eval(ctx, r.Cell)
	progress.CellEnded()
	answer.Names = c.in.Names()
}

// notPrepared waits until the evaluator is ready, and says why it cannot be.
func (c *child) notPrepared() *engine.Failure {
	<-c.prepared
	if c.in != nil {
		return nil
	}
	return &engine.Failure{Name: "NotPrepared", Message: c.unprepared.Error(),
		Traceback: []string{"\x1b[31mNotPrepared\x1b[0m: " + c.unprepared.Error()}}
}

// convert writes the cells of a notebook as a program.
func (c *child) convert(ctx context.Context, r protocol.Request) {
	var answer protocol.Message
	defer func() { c.end(r.ID, answer) }()
	if answer.Result.Failure = c.notPrepared(); answer.Result.Failure == nil {
		answer.Text, answer.Result.Failure = c.in.Convert(ctx, r.Cells)
		answer.Names = c.in.Names()
	}
}

// receive passes a message of the front end on to the cells' comms.
func (c *child) receive(ctx context.Context, r protocol.Request) {
	var answer protocol.Message
	defer func() { c.end(r.ID, answer) }()
	if in := c.evaluator(); in != nil {
		answer.Result.Failure = in.Call(ctx, func() { comm.Receive(r.Comm) })
		answer.Names = in.Names()
	}
}

// comm sends a message to the front end.
func (c *child) comm(m comm.Message) error {
	return c.show(protocol.Message{ID: c.request(), Kind: protocol.IsComm, Comm: m})
}

func (c *child) complete(r protocol.Request) {
	m := protocol.Message{ID: r.ID, Kind: protocol.IsCompleted, Start: r.Cursor, End: r.Cursor}
	<-c.prepared // who is fast with Tab waits no longer than a cell would
	if in := c.evaluator(); in != nil {
		unlessItPanics(func() { m.Matches, m.Start, m.End = in.Complete(r.Source, r.Cursor) })
	}
	c.send(m)
}

func (c *child) inspect(r protocol.Request) {
	m := protocol.Message{ID: r.ID, Kind: protocol.IsInspected}
	<-c.prepared
	if in := c.evaluator(); in != nil {
		unlessItPanics(func() { m.Bundle, m.Found = in.Inspect(r.Source, r.Cursor, r.Detail) })
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

// Display shows a bundle in the front end; it makes child a sink.Sink.
func (c *child) Display(b mime.Bundle, update bool) {
	c.show(protocol.Message{ID: c.request(), Kind: protocol.IsDisplay, Bundle: b, Update: update})
}

// Prompt asks the person for a line; it makes child a sink.Prompter.
func (c *child) Prompt(prompt string, password bool) (string, error) {
	return c.stdin.ask(context.Background(), prompt, password)
}

// Clear removes what the cell has shown.
func (c *child) Clear(wait bool) {
	c.show(protocol.Message{ID: c.request(), Kind: protocol.IsClear, Wait: wait})
}

// show sends a message and waits until the parent has passed it on: what is printed next goes another
// way, and must not overtake it.
func (c *child) show(m protocol.Message) error {
	c.showing.Lock()
	defer c.showing.Unlock()
	err := c.send(m)
	if err == nil {
		<-c.shown
	}
	return err
}

// request returns the one that the calling goroutine's cell runs for. What belongs to no cell is taken for the last
// one's.
func (c *child) request() int {
	if r := cell.Current(); r != nil {
		if id, ok := r.Context.Value(requestKey{}).(int); ok {
			return id
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}
