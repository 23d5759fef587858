// Package comm has channels between cells and whatever in the front end wants to talk to them, such as the
// widgets of package ui.
//
// Both sides can open one, both can send JSON with binary buffers, and both can close it.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#custom-messages
package comm

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
)

// Kind is what a message does.
type Kind string

// The kinds, as Jupyter names them.
const (
	Opening Kind = "comm_open"
	Sending Kind = "comm_msg"
	Closing Kind = "comm_close"
)

// Message is what goes over a comm, in either direction.
type Message struct {
	Kind     Kind
	ID       string          // of the comm
	Target   string          // Opening: what the comm is for
	Data     json.RawMessage // a JSON object
	Metadata json.RawMessage // a JSON object; nil means an empty one
	Buffers  [][]byte
	Content  json.RawMessage // all that the front end's message holds; empty on the way there
	Request  string          // the id of the message of the front end that brought it; empty on the way there
}

// ErrNoFrontEnd means that there is nobody to talk to: the program does not run in a notebook.
var ErrNoFrontEnd = errors.New("comm: this front end has no comms: controls need a notebook")

var (
	mu      sync.Mutex // guards the variables below
	send    func(Message) error
	open    = map[string]*Comm{}
	targets = map[string]func(*Comm, Message){}
)

// SetSender says where messages go; the kernel's worker calls it.
func SetSender(s func(Message) error) {
	mu.Lock()
	defer mu.Unlock()
	send = s
}

// Register has f called for each comm that the front end opens for a target.
func Register(target string, f func(*Comm, Message)) {
	mu.Lock()
	defer mu.Unlock()
	targets[target] = f
}

// Comm is one open channel.
type Comm struct {
	ID     string
	Target string

	mu     sync.Mutex // guards handle and closed
	handle func(Message)
	closed bool
}

// Open opens a comm for a target that the front end knows. data is anything that encodes as a JSON object; metadata may
// be nil.
func Open(target string, data, metadata any, buffers ...[]byte) (*Comm, error) {
	c := &Comm{ID: uuid.NewString(), Target: target}
	mu.Lock()
	open[c.ID] = c
	mu.Unlock()
	if err := c.send(Opening, data, metadata, buffers); err != nil {
		c.forget()
		return nil, err
	}
	return c, nil
}

// Handle has f called for each message that arrives, one after the other and in their order, which the kernel sees to.
func (c *Comm) Handle(f func(Message)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handle = f
}

// Send sends anything that encodes as a JSON object.
func (c *Comm) Send(data any, buffers ...[]byte) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return fmt.Errorf("comm: %s is closed", c.ID)
	}
	return c.send(Sending, data, nil, buffers)
}

// Close closes the comm on both sides.
func (c *Comm) Close() error {
	if !c.forget() {
		return nil
	}
	return c.send(Closing, struct{}{}, nil, nil)
}

// forget reports whether the comm was open.
func (c *Comm) forget() bool {
	mu.Lock()
	delete(open, c.ID)
	mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	was := !c.closed
	c.closed = true
	return was
}

func (c *Comm) send(kind Kind, data, metadata any, buffers [][]byte) error {
	m := Message{Kind: kind, ID: c.ID, Target: c.Target, Buffers: buffers}
	var err error
	if m.Data, err = json.Marshal(data); err != nil {
		return fmt.Errorf("comm: %w", err)
	}
	if metadata != nil {
		if m.Metadata, err = json.Marshal(metadata); err != nil {
			return fmt.Errorf("comm: %w", err)
		}
	}
	mu.Lock()
	to := send
	mu.Unlock()
	if to == nil {
		return ErrNoFrontEnd
	}
	return to(m)
}

// Receive passes on a message of the front end. A comm that it opens for an unknown target is closed at once.
func Receive(m Message) {
	mu.Lock()
	c := open[m.ID]
	target := targets[m.Target]
	if m.Kind == Opening && c == nil {
		c = &Comm{ID: m.ID, Target: m.Target}
		open[m.ID] = c
	}
	mu.Unlock()
	switch {
	case c == nil && m.Kind == Sending:
		// Of a process that is gone. The front end shows that its control is dead.
		(&Comm{ID: m.ID}).send(Closing, struct{}{}, nil, nil)
	case c == nil: // closed on both sides
	case m.Kind == Opening && target == nil:
		c.Close()
	case m.Kind == Opening:
		target(c, m)
	case m.Kind == Closing:
		c.forget()
	default:
		c.mu.Lock()
		handle := c.handle
		c.mu.Unlock()
		if handle != nil {
			handle(m)
		}
	}
}
