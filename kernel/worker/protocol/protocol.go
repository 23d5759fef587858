// Package protocol is what the kernel and its worker process say to each other, over a pair of pipes of
// their own. The worker's standard output and error are pipes to the kernel as well, so that
// everything printed is caught, by C code too, and no printed line can be taken for a message.
package protocol

import (
	"encoding/gob"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

// Request is what the kernel asks, gob-encoded on the child's descriptor 3.
type Request struct {
	ID             int
	Op             Op
	Cell           engine.Cell // Eval
	Cells          []string    // Convert
	Source         string      // Complete, Inspect, IsComplete
	Cursor, Detail int
	Comm           comm.Message // Comm
	Again          bool         // Interrupt: the cell has had one for itself
	Question       int          // Typed: that of the message that asked
	Line           string       // Typed, without the end of the line
	Ended          bool         // Typed: there is no more to be read, and the line had no end
	Refusal        string       // Typed: why nobody could be asked; empty when somebody was
}

// Op is what a request is for.
type Op string

// The requests.
const (
	Eval       Op = "eval"
	Interrupt  Op = "interrupt"
	Complete   Op = "complete"
	Inspect    Op = "inspect"
	IsComplete Op = "is_complete"
	Comm       Op = "comm"
	Convert    Op = "convert"
	Stop       Op = "stop"  // what earlier cells have left running; there is no answer
	Typed      Op = "typed" // answers an IsQuestion
	// answers an IsDisplay, IsClear, IsComm, IsText or IsSettling: what the cell prints now comes after it
	Shown Op = "shown"
)

// Message is what the worker says, gob-encoded on its descriptor 4. What a cell printed before the child
// sent a message is in the output pipes when the message arrives.
type Message struct {
	ID   int // of the request that it belongs to
	Kind Kind

	Bundle       mime.Bundle   // Display, Inspected
	Comm         comm.Message  // Comm
	Update       bool          // Display
	Wait         bool          // Clear
	Text         string        // Text, Busy; Result of a Convert
	Stream       engine.Stream // Text
	Result       engine.Result
	Question     int      // Question: its number, which the answer repeats
	Prompt       string   // Question
	Password     bool     // Question: what is typed is not to be shown
	Names        []string // Result: what is defined now
	Matches      []engine.Match
	Start, End   int
	Found        bool
	Completeness engine.Completeness // IsCompleteness
	Indent       string
}

// Kind is what a message is.
type Kind string

// The messages.
const (
	IsReady    Kind = "ready" // the first message
	IsDisplay  Kind = "display"
	IsClear    Kind = "clear"
	IsComm     Kind = "comm"
	IsText     Kind = "text"     // that a cell prints while another has begun after it
	IsSettling Kind = "settling" // that it waits until all that is in the output pipes has been passed on
	// what an interrupted cell is at that cannot be stopped; "" where there is nothing any more
	IsBusy Kind = "busy"
	// an interrupt went to a channel of the cell's, by signal.Notify, and does not stop it
	IsHeard        Kind = "heard"
	IsQuestion     Kind = "question" // a cell reads its standard input: ask the person for a line
	IsResult       Kind = "result"
	IsCompleted    Kind = "completed"
	IsCompleteness Kind = "completeness"
	IsInspected    Kind = "inspected"
)

func init() {
	// What the metadata of a bundle may hold.
	gob.Register(map[string]any{})
	gob.Register([]any{})
}
