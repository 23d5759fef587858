package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
)

// maxQueued is how many bytes wait for a peer that does not read, such as a suspended console, before it is
// cut off. A peer that was cut off connects again by itself.
const maxQueued = 256 << 20

var errNotReading = errors.New("wire: a front end does not read its messages; its connection was closed")

// peer is one connection of a front end to one of the sockets. What is sent to it is queued, so
// that a slow peer holds up nobody else.
type peer struct {
	id   string // ZeroMQ identity
	conn *zmq4.Conn
	out  *gathered
	done chan struct{} // closed when nothing more will be written
	most int           // bytes that may wait

	mu     sync.Mutex // guards the fields below
	ready  sync.Cond  // queue or closed has changed
	queue  [][][]byte // messages
	queued int        // bytes in queue
	closed bool
}

func newPeer(id string, conn *zmq4.Conn, out *gathered, most int) *peer {
	p := &peer{id: id, conn: conn, out: out, done: make(chan struct{}), most: most}
	p.ready.L = &p.mu
	go p.write()
	return p
}

// send queues a message. What is sent after the peer has gone is lost.
func (p *peer) send(frames [][]byte) error {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	if p.queued > 0 && p.queued+size > p.most {
		p.closed, p.queue = true, nil
		p.ready.Signal()
		p.conn.Close()
		return errNotReading
	}
	p.queue = append(p.queue, frames)
	p.queued += size
	p.ready.Signal()
	return nil
}

func (p *peer) write() {
	defer close(p.done)
	for {
		p.mu.Lock()
		for len(p.queue) == 0 && !p.closed {
			p.ready.Wait()
		}
		batch := p.queue
		p.queue = nil
		p.mu.Unlock()
		if len(batch) == 0 {
			return // closed, and all is written
		}
		for _, m := range batch {
			if err := p.out.send(m); err != nil {
				p.abandon()
				return
			}
			size := 0
			for _, f := range m {
				size += len(f)
			}
			p.mu.Lock()
			p.queued -= size
			p.mu.Unlock()
		}
		if err := p.out.Flush(); err != nil {
			p.abandon()
			return
		}
	}
}

// abandon closes the connection and forgets what is queued.
func (p *peer) abandon() {
	p.mu.Lock()
	p.closed, p.queue = true, nil
	p.ready.Signal()
	p.mu.Unlock()
	p.conn.Close()
}

// close closes the connection once what is queued has been written, or at the deadline.
func (p *peer) close(deadline time.Time) {
	p.out.SetWriteDeadline(deadline)
	p.mu.Lock()
	p.closed = true
	p.ready.Signal()
	p.mu.Unlock()
	<-p.done
	p.conn.Close()
}

// gathered is a connection that, once the handshake is over, sends a message's many small frames in one packet.
// Messages do not go through zmq4, which writes each frame, and each frame's length, by itself: its answer to a PING,
// which it writes while it reads, would get between them. https://rfc.zeromq.org/spec/23/#framing
type gathered struct {
	net.Conn
	command []byte // of zmq4's, as far as it has been written

	mu     sync.Mutex    // held while a message or a command is written
	buffer *bufio.Writer // nil during the handshake
}

// Write takes what zmq4 writes by itself: the handshake, and then commands, which are shorter than 256 bytes.
func (g *gathered) Write(b []byte) (int, error) {
	if g.buffer == nil {
		return g.Conn.Write(b)
	}
	if g.command = append(g.command, b...); len(g.command) < 2 || len(g.command) < 2+int(g.command[1]) {
		return len(b), nil
	}
	g.mu.Lock()
	_, err := g.buffer.Write(g.command)
	g.mu.Unlock()
	g.command = nil
	if err == nil {
		err = g.Flush()
	}
	return len(b), err
}

// send writes the frames of a message.
func (g *gathered) send(frames [][]byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, f := range frames {
		const more, long = 1, 2
		head := []byte{0, byte(len(f))}
		if len(f) > 255 {
			head = binary.BigEndian.AppendUint64([]byte{long}, uint64(len(f)))
		}
		if i < len(frames)-1 {
			head[0] |= more
		}
		g.buffer.Write(head) // an error stays with the writer
		if _, err := g.buffer.Write(f); err != nil {
			return err
		}
	}
	return nil
}

// Flush sends what has been written.
func (g *gathered) Flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buffer.Flush()
}

// gather ends the handshake's direct writes.
func (g *gathered) gather() { g.buffer = bufio.NewWriterSize(g.Conn, 64<<10) }
