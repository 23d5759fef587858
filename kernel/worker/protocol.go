// Package worker runs cells in a child process, so that whatever a cell does to its process, the
// kernel stays. [Worker] is the parent's side, an engine.Engine; [Serve] is the child's.
//
// The two speak over a pair of pipes of their own (protocol.go). The child's standard output and
// error are pipes to the parent as well, so that everything printed is caught, by C code too, and no
// printed line can be taken for a message.
package worker

import (
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// request is what the parent asks, gob-encoded on the child's descriptor 3.
type request struct {
	ID             int
	Op             op
	Cell           engine.Cell // Eval
	Source         string      // Complete, Inspect
	Cursor, Detail int
}

type op string

const (
	opEval      op = "eval"
	opInterrupt op = "interrupt"
	opComplete  op = "complete"
	opInspect   op = "inspect"
)

// message is what the child says, gob-encoded on its descriptor 4. What a cell printed before the child
// sent a message is in the output pipes when the message arrives.
type message struct {
	ID   int // of the request that it belongs to
	Kind messageKind

	Bundle     mime.Bundle // Display, Inspected
	Update     bool        // Display
	Wait       bool        // Clear
	Result     engine.Result
	Names      []string // Result: what is defined now
	Matches    []engine.Match
	Start, End int
	Found      bool
}

type messageKind string

const (
	kindReady     messageKind = "ready" // the first message
	kindDisplay   messageKind = "display"
	kindClear     messageKind = "clear"
	kindResult    messageKind = "result"
	kindCompleted messageKind = "completed"
	kindInspected messageKind = "inspected"
)
