package session

import (
	"fmt"
	"sync"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/mime"
)

const (
	// flushAfter is how long text is gathered before it is sent, so that a loop of prints is not a message each.
	flushAfter = 30 * time.Millisecond
	// flushSize is how much text is sent at once at most before the time is over.
	flushSize = 64 << 10
	// maxText is how much text a cell may print before the rest is dropped: it protects the browser.
	maxText = 16 << 20
)

// output sends what a cell produces, in the order in which it comes.
type output struct {
	s      *Session
	parent *wire.Message

	mu      sync.Mutex // guards the fields below, and is held while sending
	stream  engine.Stream
	text    []byte
	timer   *time.Timer
	printed int
}

func newOutput(s *Session, parent *wire.Message) *output {
	return &output{s: s, parent: parent}
}

// Text implements engine.Output.
func (o *output) Text(stream engine.Stream, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.printed > maxText {
		return
	}
	if o.stream != stream {
		o.flushLocked()
		o.stream = stream
	}
	o.printed += len(text)
	if o.printed > maxText {
		text += fmt.Sprintf("\n… the cell has printed more than %d MB; the rest is dropped\n", maxText>>20)
	}
	o.text = append(o.text, text...)
	switch {
	case len(o.text) >= flushSize || o.printed > maxText:
		o.flushLocked()
	case o.timer == nil:
		o.timer = time.AfterFunc(flushAfter, o.flush)
	}
}

// flush sends the text that has been gathered.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushLocked()
}

func (o *output) flushLocked() {
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	if len(o.text) > 0 {
		o.s.publish("stream", o.parent, wire.Stream{Name: string(o.stream), Text: string(o.text)})
		o.text = nil
	}
}

// Display implements engine.Output.
func (o *output) Display(b mime.Bundle, update bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushLocked()
	kind := "display_data"
	if update {
		kind = "update_display_data"
	}
	o.s.publish(kind, o.parent, wire.NewDisplayData(b))
}

// Clear implements engine.Output.
func (o *output) Clear(wait bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushLocked()
	o.s.publish("clear_output", o.parent, wire.ClearOutput{Wait: wait})
}
