package wire

import (
	"errors"
	"slices"
	"sync"
)

// ErrNoPeer means that nobody with a message's identity is connected.
var ErrNoPeer = errors.New("wire: nobody with the message's identity is connected")

// Router is a socket on which front ends ask and are answered: shell, control and stdin.
type Router struct {
	endpoint *endpoint
	signer   *Signer
	messages chan Message
	closing  chan struct{}
	once     sync.Once // closes closing
	dropped  func(error)
}

func newRouter(e *endpoint, signer *Signer, dropped func(error)) *Router {
	r := &Router{endpoint: e, signer: signer, messages: make(chan Message), closing: make(chan struct{}), dropped: dropped}
	e.start(r.receive, nil)
	return r
}

func (r *Router) receive(p *peer, frames [][]byte) {
	m, err := Parse(frames, r.signer)
	if err != nil {
		r.dropped(err)
		return
	}
	m.Identities = append([][]byte{[]byte(p.id)}, m.Identities...)
	select {
	case r.messages <- m:
	case <-r.closing:
	}
}

// Messages is where messages arrive, in the order in which each front end sent them. Messages that
// are malformed or badly signed do not. It is never closed.
func (r *Router) Messages() <-chan Message { return r.messages }

// Send queues a message for the peer that its first identity names. It returns [ErrNoPeer] when there is none;
// for a reply that means that the front end has left.
func (r *Router) Send(m Message) error {
	if len(m.Identities) == 0 {
		return ErrNoPeer
	}
	id := string(m.Identities[0])
	r.endpoint.mu.Lock()
	// A front end that has connected again may be there twice for a moment; the later one is it.
	var to *peer
	for _, p := range slices.Backward(r.endpoint.peers) {
		if p.id == id {
			to = p
			break
		}
	}
	r.endpoint.mu.Unlock()
	if to == nil {
		return ErrNoPeer
	}
	rest := m
	rest.Identities = m.Identities[1:]
	return to.send(rest.Frames(r.signer))
}

func (r *Router) close() {
	r.once.Do(func() { close(r.closing) })
	r.endpoint.close()
}
