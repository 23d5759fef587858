package wire

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/null"
	"github.com/google/uuid"
)

const (
	handshakeTime = 10 * time.Second
	lingerTime    = time.Second // how long close waits for peers to read what is queued
)

// endpoint is a listening socket and its peers. zmq4 speaks the transport protocol (ZMTP); its own sockets
// are not used, because with them one peer that is slow to greet or to read holds up all others, one
// that sends nonsense ends the process, and what a PUB socket has queued is lost on Close.
type endpoint struct {
	kind     zmq4.SocketType
	listener net.Listener
	port     int
	log      *slog.Logger
	most     int                            // bytes that may wait for a peer
	receive  func(p *peer, frames [][]byte) // called on the peer's own goroutine
	left     func(p *peer)                  // called when a peer has gone; may be nil

	mu     sync.Mutex // guards peers and closed
	peers  []*peer    // in the order in which they came
	closed bool
}

// listen opens an endpoint; start makes it accept peers.
func listen(info Connection, port int, kind zmq4.SocketType, log *slog.Logger) (*endpoint, error) {
	network, address, err := info.address(port)
	if err != nil {
		return nil, err
	}
	var l net.Listener
	if network == "unix" && port == 0 {
		// Any port: the system chooses among numbers, but not among names.
		for err = syscall.EADDRINUSE; errors.Is(err, syscall.EADDRINUSE) && port < 1<<16; {
			port++
			_, address, _ = info.address(port)
			l, err = net.Listen(network, address)
		}
	} else {
		l, err = net.Listen(network, address)
	}
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		port = a.Port
	}
	if network == "unix" {
		// A message may hold what nobody else should read.
		if err := os.Chmod(address, 0o600); err != nil {
			l.Close()
			return nil, fmt.Errorf("wire: %w", err)
		}
	}
	return &endpoint{kind: kind, listener: l, port: port, log: log, most: maxQueued}, nil
}

func (e *endpoint) start(receive func(*peer, [][]byte), left func(*peer)) {
	e.receive, e.left = receive, left
	go func() {
		for {
			conn, err := e.listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // no file descriptor left, for example
				time.Sleep(50 * time.Millisecond)
				continue
			}
			go e.serve(conn)
		}
	}()
}

// serve greets a peer and reads from it until it leaves. zmq4 panics on some malformed input, which anybody who
// can reach the port may send: that costs the connection and nothing else.
func (e *endpoint) serve(conn net.Conn) {
	defer conn.Close()
	defer func() {
		if r := recover(); r != nil {
			e.log.Warn("a connection was closed", "reason", r, "stack", string(debug.Stack()))
		}
	}()
	in := newLimited(conn)
	out := &gathered{Conn: in}
	conn.SetDeadline(time.Now().Add(handshakeTime))
	z, err := zmq4.Open(out, null.Security(), e.kind, nil, true, nil)
	if err != nil {
		e.log.Debug("a connection did not become a ZeroMQ peer", "error", err)
		return
	}
	conn.SetDeadline(time.Time{})
	out.gather()
	id := z.Peer.Meta["Identity"]
	if id == "" {
		id = uuid.NewString()
	}
	p := newPeer(id, z, out, e.most)
	defer p.abandon()
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.peers = append(e.peers, p)
	e.mu.Unlock()
	defer e.remove(p)
	for {
		m, err := z.RecvMsg()
		if err != nil {
			if in.exceeded {
				e.log.Warn("a connection was closed", "reason", errTooBig)
			}
			return
		}
		if m.Type == zmq4.UsrMsg {
			e.receive(p, m.Frames)
		}
	}
}

func (e *endpoint) remove(p *peer) {
	e.mu.Lock()
	if i := slices.Index(e.peers, p); i >= 0 {
		e.peers = slices.Delete(e.peers, i, i+1)
	}
	e.mu.Unlock()
	if e.left != nil {
		e.left(p)
	}
}

// close delivers what is queued, closes all connections and stops listening.
func (e *endpoint) close() {
	e.listener.Close()
	e.mu.Lock()
	e.closed = true
	peers := slices.Clone(e.peers)
	e.mu.Unlock()
	deadline := time.Now().Add(lingerTime)
	var closing sync.WaitGroup
	for _, p := range peers {
		closing.Go(func() { p.close(deadline) })
	}
	closing.Wait()
}
