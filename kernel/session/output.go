package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/mime"
)

const (
	flushTime = 50 * time.Millisecond // how long text waits for more, so that a loop of prints is not a message each
	flushSize = 256 << 10             // how much text does not wait
)

// output publishes what one cell produces, in the order in which it comes. What comes after the cell has
// ended still belongs to that cell. It implements engine.Output and engine.Prompter.
type output struct {
	session *session
	request *wire.Message
	silent  bool // publish nothing
	ask     bool // the front end may be asked for input

	mu      sync.Mutex // guards the fields below; held while publishing, which makes the order
	stream  engine.Stream
	text    strings.Builder // of stream, not yet published
	timer   *time.Timer     // will publish text; nil when none is due
	printed int             // bytes of text so far
	shown   int             // bytes of displays so far
}

func newOutput(s *session, request *wire.Message, r wire.ExecuteRequest) *output {
	return &output{session: s, request: request, silent: r.Silent, ask: r.AllowStdin}
}

// Text publishes text, together with what else arrives on the same stream within flushTime.
func (o *output) Text(stream engine.Stream, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	limit := o.session.options.TextLimit
	if o.silent || text == "" || o.printed > limit {
		return
	}
	if stream != o.stream {
		o.flushLocked()
		o.stream = stream
	}
	if o.printed+len(text) > limit {
		text = strings.ToValidUTF8(text[:limit-o.printed], "") +
			fmt.Sprintf("\n[loupe: this cell has printed %s; the rest is dropped]\n", size(limit))
		o.printed = limit + 1
	} else {
		o.printed += len(text)
	}
	o.text.WriteString(text)
	if o.text.Len() >= flushSize {
		o.flushLocked()
	} else if o.timer == nil {
		o.timer = time.AfterFunc(flushTime, o.flush)
	}
}

func size(bytes int) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MB", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// flush publishes the text that waits.
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
	if o.text.Len() == 0 {
		return
	}
	o.session.publish(o.request, wire.Stream{Name: string(o.stream), Text: o.text.String()})
	o.text.Reset()
}

// Display publishes a bundle, or what replaces the display with its ID.
func (o *output) Display(b mime.Bundle, update bool) {
	if !(update && b.ID != "") && !o.mayShow(b) {
		return
	}
	data, metadata := wire.NewMimeBundle(b)
	transient := wire.Transient{DisplayID: b.ID}
	if update && b.ID != "" {
		o.publish(wire.UpdateDisplayData{Data: data, Metadata: metadata, Transient: transient})
	} else {
		o.publish(wire.DisplayData{Data: data, Metadata: metadata, Transient: transient})
	}
}

// mayShow reports whether a bundle is within the limit, and tells of the first that is not.
func (o *output) mayShow(b mime.Bundle) bool {
	bytes := 0
	for _, form := range b.Data {
		bytes += len(form)
	}
	limit := o.session.options.DisplayLimit
	o.mu.Lock()
	before := o.shown
	if before <= limit {
		o.shown += bytes
	}
	over := o.shown > limit
	o.mu.Unlock()
	if over && before <= limit {
		o.Text(engine.Stderr, fmt.Sprintf("[loupe: this cell has shown %s; the rest is dropped]\n", size(limit)))
	}
	return !over
}

// Clear removes what the cell has shown.
func (o *output) Clear(wait bool) { o.publish(wire.ClearOutput{Wait: wait}) }

// publish publishes content after the text that came before it.
func (o *output) publish(content wire.Content) { o.publishWith(content, nil, nil) }

func (o *output) publishWith(content wire.Content, metadata json.RawMessage, buffers [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.silent {
		return
	}
	o.flushLocked()
	o.session.publishWith(o.request, content, metadata, buffers)
}

// discard is the output of a cell that may not show anything.
type discard struct{}

func (discard) Text(engine.Stream, string) {}
func (discard) Display(mime.Bundle, bool)  {}
func (discard) Clear(bool)                 {}
