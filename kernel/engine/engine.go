// Package engine is the border between the front ends (the Jupyter session, the
// notebook runner, the terminal) and whatever evaluates cells. A front end knows
// no Go semantics; an engine knows no Jupyter.
//
// [Engine] is what every evaluator can do. What only some can do is an interface
// of its own, found by type assertion.
package engine

import (
	"context"

	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

// Cell is one piece of source to evaluate.
type Cell struct {
	// Number is the execution count; positions in errors read "cell 3, line 2".
	Number int
	// Source is what the user typed, unchanged.
	Source string
	// Silent cells leave no trace: they have no number of their own and show no value.
	Silent bool
}

// Stream names one of the two text streams of a cell.
type Stream string

// The two streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Output takes what a cell produces while it runs. Its methods may be called
// from any goroutine and arrive at the front end in the order of the calls.
type Output interface {
	// Text delivers text written to one of the streams, as it is written.
	Text(s Stream, text string)
	// Display shows a bundle. With update set it replaces the display that has the bundle's ID.
	Display(b mime.Bundle, update bool)
	// Clear removes what the cell has shown so far; with wait set, only when the next output arrives.
	Clear(wait bool)
}

// Result is how a cell ended. The zero Result is a cell that went well and has no value.
type Result struct {
	// Value is the last expression's value; nil when there is none to show.
	Value *mime.Bundle
	// Failure is set when the user's code failed: it did not compile, panicked, was
	// interrupted, or took the worker with it. It is something to show, not a fault of loupe.
	Failure *Failure
	// Lost says that all that cells had made is gone: variables, and comms too.
	Lost bool
	// Page is help that was asked for, which a front end shows apart from the cell's output, where it can.
	Page *mime.Bundle
	// Next is text for a cell.
	Next *NextInput
}

// NextInput is text that the front end shall put into a cell for the person to go on with.
type NextInput struct {
	Text    string
	Replace bool // in the place of the cell that ran; else in the one below
}

// Failure is what went wrong in the user's code.
type Failure struct {
	// Name is the kind: "CompileError", "Error" (somebody's error stopped the cell), "Panic" (a bug in the cell's
	// code), "Interrupted", "WorkerLost", …
	Name string
	// Message is one line, or a few.
	Message string
	// Traceback is what a person reads, ANSI colours allowed, one string a line. It
	// names the cell and line.
	Traceback []string
	// Line and Column of the user's source, from 1; 0 when unknown.
	Line, Column int
}

// Engine evaluates cells, keeping variables, functions and types between them.
type Engine interface {
	// Eval runs one cell. Cancelling ctx interrupts it: Eval then returns with a Failure named "Interrupted" as soon as
	// the code has stopped, and all that was defined is kept. Where the code does not stop, Eval waits for its end and
	// tells out so; [Insister] is the way to end it. The error is for faults of loupe itself (the worker cannot be
	// started); after one, Eval may be called again.
	Eval(ctx context.Context, cell Cell, out Output) (Result, error)
	// Close ends the engine and everything it started. Output already written is delivered first.
	Close() error
}

// Completeness answers whether a cell can run as it stands.
type Completeness string

// The answers, as Jupyter spells them.
const (
	Complete   Completeness = "complete"
	Incomplete Completeness = "incomplete"
	Invalid    Completeness = "invalid"
	Unknown    Completeness = "unknown"
)

// CompletenessChecker is an engine that can tell whether input is complete.
type CompletenessChecker interface {
	// IsComplete also returns the indent of the next line when the answer is Incomplete.
	IsComplete(source string) (c Completeness, indent string)
}

// Match is one completion.
type Match struct {
	Text string // what replaces the range
	Type string // "function", "method", "field", "variable", "type", "package", "keyword", "path"
	Doc  string // the signature, one line; may be empty
}

// Completer is an engine that completes names.
type Completer interface {
	// Complete offers what may stand at cursor (in Unicode code points); start and end delimit what a match replaces.
	Complete(ctx context.Context, source string, cursor int) (matches []Match, start, end int, err error)
}

// Inspector is an engine that can explain the name at a position.
type Inspector interface {
	// Inspect returns signature, documentation and, where it is a variable, its value. found is false
	// when nothing is known of the name. detail 1 asks for the source as well.
	Inspect(ctx context.Context, source string, cursor, detail int) (b mime.Bundle, found bool, err error)
}

// Concurrent is an engine whose Eval may be called while another cell runs.
type Concurrent interface {
	Concurrent() bool
}

// CommHandler is an engine whose cells have comms.
type CommHandler interface {
	// Comm passes on a message of the front end and returns when what it has set off has ended. What that shows goes to
	// out. The failure is that of the cell's code, as in a [Result].
	Comm(ctx context.Context, m comm.Message, out Output) (*Failure, error)
}

// UrgentComms is a CommHandler some of whose messages are for a cell that runs.
type UrgentComms interface {
	// AtOnce reports whether a message is not to wait for its turn among the cells.
	AtOnce(m comm.Message) bool
}

// Commer is an Output whose front end has comms.
type Commer interface {
	Comm(m comm.Message)
}

// BackgroundStopper is an engine whose cells can leave something running behind.
type BackgroundStopper interface {
	// StopBackground ends what earlier cells have left running. It does not wait for that.
	StopBackground()
}

// Insister is an engine that can end by force what an interrupt does not stop.
type Insister interface {
	// Insist is the second press of Stop. It ends the process of interrupted cells that go on running although their
	// output has told, a while ago, that this is what a second Stop does; their failures then tell what was lost. Else
	// it does nothing, so that nobody loses anything to an impatient key. It does not wait.
	Insist()
}

// Restarter is an engine that can forget everything and start afresh without being closed.
type Restarter interface {
	Restart() error
}
