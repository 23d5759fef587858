package wire

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/go-zeromq/zmq4"
)

// Sockets are the kernel's ends of the five sockets. The fifth is the heartbeat, which answers by itself,
// on goroutines that nothing else delays.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#introduction
type Sockets struct {
	// Connection has the ports that are listened on, also where the one given to Listen had 0 for "any".
	Connection Connection

	Shell   *Router
	Control *Router
	Stdin   *Router
	IOPub   *Publisher

	heartbeat *endpoint
}

// Listen opens the sockets. session names the kernel's run in the messages that the sockets send by themselves.
// What is dropped is logged to log, the first of each kind as a warning; nil means slog.Default().
func Listen(c Connection, session string, log *slog.Logger) (*Sockets, error) {
	if log == nil {
		log = slog.Default()
	}
	signer, err := NewSigner(c.Key, c.SignatureScheme)
	if err != nil {
		return nil, err
	}
	var open []*endpoint
	for _, socket := range []struct {
		port *int
		kind zmq4.SocketType
	}{
		{&c.ShellPort, zmq4.Router}, {&c.ControlPort, zmq4.Router}, {&c.StdinPort, zmq4.Router},
		{&c.IOPubPort, zmq4.XPub}, {&c.HBPort, zmq4.Rep},
	} {
		e, err := listen(c, *socket.port, socket.kind, log)
		if err != nil {
			for _, e := range open {
				e.close()
			}
			return nil, err
		}
		*socket.port = e.port
		open = append(open, e)
	}
	dropped := logFaults(log)
	s := &Sockets{
		Connection: c,
		Shell:      newRouter(open[0], signer, dropped),
		Control:    newRouter(open[1], signer, dropped),
		Stdin:      newRouter(open[2], signer, dropped),
		IOPub:      newPublisher(open[3], signer, session, dropped),
		heartbeat:  open[4],
	}
	s.heartbeat.start(func(p *peer, frames [][]byte) { p.send(frames) }, nil)
	return s, nil
}

// Close delivers what has been sent, for a second at most, and closes the sockets.
func (s *Sockets) Close() {
	var closing sync.WaitGroup
	for _, stop := range []func(){s.Shell.close, s.Control.close, s.Stdin.close, s.IOPub.endpoint.close,
		s.heartbeat.close} {
		closing.Go(stop)
	}
	closing.Wait()
}

// logFaults logs each message that is dropped, the first of each kind as a warning and the others for who asks for all:
// a client with a wrong key, or a program that knocks at every port, would fill the log.
func logFaults(log *slog.Logger) func(error) {
	var signature, replayed, malformed, notReading atomic.Bool
	return func(err error) {
		told := &malformed
		switch {
		case errors.Is(err, ErrSignature):
			told = &signature
		case errors.Is(err, ErrReplayed):
			told = &replayed
		case errors.Is(err, errNotReading):
			told = &notReading
		}
		if told.CompareAndSwap(false, true) {
			log.Warn("dropped (further ones like it are told at level debug)", "reason", err)
		} else {
			log.Debug("dropped", "reason", err)
		}
	}
}
