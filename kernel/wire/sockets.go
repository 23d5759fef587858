package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"

	"github.com/go-zeromq/zmq4"
)

// Channel is one of the sockets on which requests come.
type Channel string

// The channels of requests.
const (
	Shell   Channel = "shell"
	Control Channel = "control"
)

// Sockets are the kernel's ends of the five sockets.
type Sockets struct {
	codec  Codec
	cancel context.CancelFunc
	ctx    context.Context

	sockets map[Channel]zmq4.Socket
	stdin   zmq4.Socket
	beat    zmq4.Socket
	iopub   zmq4.Socket

	sending map[Channel]*sync.Mutex // one a socket: a message's frames stay together
	publish sync.Mutex

	logged sync.Map // faults of messages that have been logged
}

// Listen opens the sockets and starts the heartbeat, on a goroutine of its own that nothing else delays.
func Listen(c Connection) (*Sockets, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sockets{
		codec: Codec{Key: []byte(c.Key)}, ctx: ctx, cancel: cancel,
		sockets: map[Channel]zmq4.Socket{Shell: zmq4.NewRouter(ctx), Control: zmq4.NewRouter(ctx)},
		sending: map[Channel]*sync.Mutex{Shell: {}, Control: {}},
		stdin:   zmq4.NewRouter(ctx),
		// A router answers a REQ socket as a REP would, and has no state that a lost client could leave wrong.
		beat:  zmq4.NewRouter(ctx),
		iopub: zmq4.NewPub(ctx),
	}
	for _, l := range []struct {
		socket zmq4.Socket
		port   int
	}{{s.sockets[Shell], c.ShellPort}, {s.sockets[Control], c.ControlPort}, {s.stdin, c.StdinPort}, {s.beat, c.HeartbeatPort}, {s.iopub, c.IOPubPort}} {
		if err := l.socket.Listen(c.endpoint(l.port)); err != nil {
			s.Close()
			return nil, fmt.Errorf("wire: %s: %w", c.endpoint(l.port), err)
		}
	}
	go s.heartbeat()
	return s, nil
}

func (s *Sockets) heartbeat() {
	for s.ctx.Err() == nil {
		m, err := s.beat.Recv()
		if err == nil {
			s.beat.SendMulti(zmq4.NewMsgFrom(m.Frames...))
		}
	}
}

// Receive returns the next message of a channel. Messages that are wrong are dropped, each kind of fault logged
// once; the error io.EOF says that the sockets are closed.
func (s *Sockets) Receive(from Channel) (*Message, error) {
	for {
		raw, err := s.sockets[from].Recv()
		if s.ctx.Err() != nil {
			return nil, io.EOF
		}
		if err != nil {
			continue // a client went away
		}
		m, err := s.codec.Decode(raw.Frames)
		if err == nil {
			return m, nil
		}
		kind := err.Error()
		for _, known := range []error{ErrShort, ErrSignature} {
			if errors.Is(err, known) {
				kind = known.Error()
			}
		}
		if _, before := s.logged.LoadOrStore(kind, true); !before {
			log.Printf("loupe: dropped %v on %s; further ones like it are dropped silently", err, from)
		}
	}
}

// Reply sends a message to whoever sent parent.
func (s *Sockets) Reply(on Channel, parent, m *Message) error {
	m.Identities = parent.Identities
	frames, err := s.codec.Encode(m)
	if err != nil {
		return err
	}
	s.sending[on].Lock()
	defer s.sending[on].Unlock()
	return s.sockets[on].SendMulti(zmq4.NewMsgFrom(frames...))
}

// Publish sends a message to everyone.
func (s *Sockets) Publish(m *Message) error {
	m.Identities = [][]byte{[]byte(m.Header.Type)}
	frames, err := s.codec.Encode(m)
	if err != nil {
		return err
	}
	s.publish.Lock()
	defer s.publish.Unlock()
	return s.iopub.SendMulti(zmq4.NewMsgFrom(frames...))
}

// Close closes the sockets.
func (s *Sockets) Close() {
	s.cancel()
	for _, socket := range []zmq4.Socket{s.sockets[Shell], s.sockets[Control], s.stdin, s.beat, s.iopub} {
		socket.Close()
	}
}
