package gonb

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

// run has GoNB run a cell, and passes on what it shows.
func (c *child) run(ctx context.Context, source string, numbers numbering, out engine.Output) engine.Result {
	var failure *engine.Failure
	why := &reason{}
	r := c.send(c.shell, wire.ExecuteRequest{Code: source, StoreHistory: true, AllowStdin: true,
		UserExpressions: map[string]string{}}, func(r *request) {
		r.published = func(m *wire.Message) { c.show(m, numbers, why, out) }
		r.asked = func(m *wire.Message) { c.ask(ctx, m, out) }
	})
	cancelled := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case m := <-r.reply:
			<-either(r.idle, c.ended)
			failure = failed(&m, numbers, why)
			if ctx.Err() != nil {
				failure = interrupted("the cell was interrupted")
			}
			return engine.Result{Failure: failure}
		case <-cancelled:
			cancelled = nil
			c.send(c.control, wire.InterruptRequest{}, nil)
			late = time.After(grace)
		case <-late:
			late = nil
			syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		case <-c.ended:
			if ctx.Err() != nil {
				return engine.Result{
					Failure: interrupted("the cell did not stop, and GoNB was ended; lost are the declarations of GoNB cells")}
			}
			return engine.Result{Failure: failing("GoNBLost", "GoNB has ended ("+c.cmd.ProcessState.String()+
				"); lost are the declarations of GoNB cells")}
		}
	}
}

// either is closed when one of two channels is.
func either(a, b <-chan struct{}) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		defer close(out)
		select {
		case <-a:
		case <-b:
		}
	}()
	return out
}

func failing(name, message string) *engine.Failure {
	return &engine.Failure{Name: name, Message: message, Traceback: []string{"\x1b[31m" + name + "\x1b[0m: " + message}}
}

func interrupted(message string) *engine.Failure { return failing("Interrupted", message) }

// silently runs special commands of GoNB's.
func (c *child) silently(ctx context.Context, source string) error {
	out := &printed{}
	if f := c.run(ctx, source, nil, out).Failure; f != nil {
		return fmt.Errorf("gonb: %q: %s %s", source, f.Message, out.text.String())
	}
	return nil
}

// printed is an output that keeps the text.
type printed struct{ text strings.Builder }

func (p *printed) Text(_ engine.Stream, text string) { p.text.WriteString(text) }
func (p *printed) Display(mime.Bundle, bool)         {}
func (p *printed) Clear(bool)                        {}

// place is what a cell of GoNB's is in the notebook.
type place struct {
	number   int // of the cell
	inserted int // the line, from 1, that has been put into it; 0 where none has
}

// numbering maps GoNB's numbers of cells to the notebook's.
type numbering map[int]place

// cellAt is how GoNB tells places: in messages of the compiler, and in the stacks of goroutines.
var cellAt = regexp.MustCompile(`Cell\[(\d+)\]: Line (\d+)|\[\[ Cell \[(\d+)\] Line (\d+) \]\]`)

// placesIn calls f with the places in a text, cell and line of the notebook, and replaces them by what it returns.
func (n numbering) placesIn(text string, f func(cell, line int) string) string {
	return cellAt.ReplaceAllStringFunc(text, func(at string) string {
		m := cellAt.FindStringSubmatch(at)
		cell, _ := strconv.Atoi(m[1] + m[3])
		line, _ := strconv.Atoi(m[2] + m[4])
		if p, ok := n[cell]; ok {
			cell = p.number
			if p.inserted > 0 && line >= p.inserted {
				line--
			}
		}
		return f(cell, line)
	})
}

// renumber puts the notebook's numbers into a text of GoNB's.
func (n numbering) renumber(text string) string {
	return n.placesIn(text, func(cell, line int) string { return fmt.Sprintf("cell %d, line %d", cell, line) })
}

// reason keeps what a program says on its standard error, which may be why it ends.
type reason struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (r *reason) follow(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.text) < 1<<20 {
		r.text = append(r.text, text...)
	}
}

// panicked returns what the program panicked with, and the first place after that; "" where it did not.
func (r *reason) panicked(n numbering) (message string, cell, line int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for text := range strings.Lines(string(r.text)) {
		for _, start := range []string{"panic: ", "fatal error: "} {
			if rest, ok := strings.CutPrefix(text, start); ok && message == "" {
				message = strings.TrimSpace(rest)
			}
		}
		if message != "" && line == 0 {
			n.placesIn(text, func(c, l int) string { cell, line = c, l; return "" })
		}
	}
	return message, cell, line
}

// failed makes a failure of a reply that is one.
func failed(m *wire.Message, numbers numbering, why *reason) *engine.Failure {
	r := wire.ErrorReply{For: m.Header.Type}
	if err := json.Unmarshal(m.Content, &r); err != nil || r.Status != wire.StatusError {
		return nil
	}
	f := &engine.Failure{Name: "GoNBError", Message: strings.TrimSpace(r.Value)}
	for _, t := range r.Traceback {
		f.Traceback = append(f.Traceback, numbers.renumber(t))
	}
	if message, cell, line := why.panicked(numbers); message != "" {
		f.Name, f.Message, f.Line = "Panic", message, line
		f.Traceback = []string{"\x1b[31mPanic\x1b[0m: " + message}
		if line > 0 {
			f.Traceback = append(f.Traceback, fmt.Sprintf("\x1b[36mcell %d, line %d\x1b[0m", cell, line))
		}
		return f
	}
	// The place of the first error that has one.
	numbers.placesIn(strings.Join(r.Traceback, "\n"), func(_, line int) string {
		if f.Line == 0 {
			f.Line = line
		}
		return ""
	})
	// The message is the compiler's whole output; its first line that has a place says what is wrong.
	for line := range strings.Lines(f.Message) {
		if _, rest, ok := strings.Cut(line, ".go:"); ok {
			if _, message, ok := strings.Cut(rest, ": "); ok {
				f.Message = strings.TrimSpace(message)
				break
			}
		}
	}
	return f
}

// show passes on something that GoNB has published.
func (c *child) show(m *wire.Message, numbers numbering, why *reason, out engine.Output) {
	switch m.Header.Type {
	case "stream":
		var s wire.Stream
		if m.Decode(&s) == nil {
			if s.Name == string(engine.Stderr) {
				why.follow(s.Text)
				s.Text = numbers.renumber(s.Text)
			}
			out.Text(engine.Stream(s.Name), s.Text)
		}
	case "display_data", "update_display_data", "execute_result":
		var d struct {
			Data      map[string]json.RawMessage
			Metadata  map[string]json.RawMessage
			Transient wire.Transient
		}
		if json.Unmarshal(m.Content, &d) == nil {
			b := bundle(d.Data, d.Metadata)
			b.ID = d.Transient.DisplayID
			out.Display(b, m.Header.Type == "update_display_data")
		}
	case "clear_output":
		var clear wire.ClearOutput
		if m.Decode(&clear) == nil {
			out.Clear(clear.Wait)
		}
	case "comm_open", "comm_msg", "comm_close":
		var content wire.CommOpen
		to, ok := out.(engine.Commer)
		if ok && json.Unmarshal(m.Content, &content) == nil {
			to.Comm(comm.Message{Kind: comm.Kind(m.Header.Type), ID: content.CommID, Target: content.TargetName,
				Data: content.Data, Metadata: m.Metadata, Buffers: m.Buffers})
		}
	}
}

// bundle reads the forms of something shown: texts are JSON strings, binary ones in base64, and JSON types any value.
func bundle(data, metadata map[string]json.RawMessage) mime.Bundle {
	b := mime.Bundle{Data: map[string]string{}}
	for kind, raw := range data {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		} else if mime.Binary(kind) {
			if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
				text = string(decoded)
			}
		}
		b.Data[kind] = text
	}
	for kind, raw := range metadata {
		var hints map[string]any
		if json.Unmarshal(raw, &hints) == nil {
			if b.Metadata == nil {
				b.Metadata = map[string]map[string]any{}
			}
			b.Metadata[kind] = hints
		}
	}
	return b
}

// ask has the person asked for a line that the cell wants to read.
func (c *child) ask(ctx context.Context, m *wire.Message, out engine.Output) {
	var q wire.InputRequest
	prompter, ok := out.(engine.Prompter)
	if m.Decode(&q) != nil || !ok {
		return
	}
	asked := time.Now()
	line, err := prompter.Input(ctx, q.Prompt, q.Password)
	if err != nil {
		return // an interrupt ends the cell
	}
	// GoNB is ready for an answer only some time after it has asked, and loses one that is there before: a program's,
	// no person's.
	time.Sleep(answerTime - time.Since(asked))
	answer, err := wire.NewMessage("loupe", m, wire.InputReply{Status: wire.StatusOK, Value: line})
	if err != nil {
		return
	}
	answer.Identities = nil
	c.sending.Lock()
	defer c.sending.Unlock()
	c.stdin.SendMulti(zmq4.NewMsgFrom(answer.Frames(c.signer)...))
}
