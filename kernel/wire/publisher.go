package wire

import (
	"bytes"
	"slices"
	"sync"
)

// Publisher is IOPub, the socket on which all front ends hear what the kernel does. It is an XPUB
// socket: each subscription is answered with an [IOPubWelcome].
type Publisher struct {
	endpoint *endpoint
	signer   *Signer
	session  string
	dropped  func(error)

	mu     sync.Mutex // guards topics, and makes the order of messages one for all peers
	topics map[*peer][][]byte
}

func newPublisher(e *endpoint, signer *Signer, session string, dropped func(error)) *Publisher {
	p := &Publisher{endpoint: e, signer: signer, session: session, dropped: dropped, topics: map[*peer][][]byte{}}
	e.start(p.receive, p.leave)
	return p
}

// receive reads what a peer wants to hear: a byte, 1 or 0, and the start of the topics that it wants, or no longer
// wants. https://rfc.zeromq.org/spec/29/
func (p *Publisher) receive(from *peer, frames [][]byte) {
	if len(frames) != 1 || len(frames[0]) == 0 || frames[0][0] > 1 {
		p.dropped(&MalformedError{Reason: "not a subscription"})
		return
	}
	topic := frames[0][1:]
	p.mu.Lock()
	defer p.mu.Unlock()
	if frames[0][0] == 0 {
		if i := slices.IndexFunc(p.topics[from], func(t []byte) bool { return bytes.Equal(t, topic) }); i >= 0 {
			p.topics[from] = slices.Delete(p.topics[from], i, i+1)
		}
		return
	}
	p.topics[from] = append(p.topics[from], topic)
	m, err := NewMessage(p.session, nil, IOPubWelcome{Subscription: string(bytes.ToValidUTF8(topic, []byte("\uFFFD")))})
	if err != nil {
		p.dropped(err)
		return
	}
	if len(topic) > 0 {
		m.Identities = [][]byte{topic}
	}
	from.send(m.Frames(p.signer))
}

// Send queues a message for every front end. Its identities are replaced by its type, as the topic.
func (p *Publisher) Send(m Message) {
	topic := []byte(m.Header.Type)
	m.Identities = [][]byte{topic}
	frames := m.Frames(p.signer)
	p.mu.Lock()
	defer p.mu.Unlock()
	for to, topics := range p.topics {
		wanted := slices.ContainsFunc(topics, func(t []byte) bool { return bytes.HasPrefix(topic, t) })
		if !wanted {
			continue
		}
		if err := to.send(frames); err != nil {
			p.dropped(err)
		}
	}
}

// leave forgets a peer.
func (p *Publisher) leave(gone *peer) {
	p.mu.Lock()
	delete(p.topics, gone)
	p.mu.Unlock()
}
