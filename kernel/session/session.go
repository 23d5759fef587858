// Package session is a Jupyter kernel without a language. It takes messages from package wire, runs cells on an
// engine.Engine one after the other, and tells every front end what comes of them.
package session

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/history"
	"github.com/loupeml/loupe/kernel/wire"
)

// Options describes the kernel to its front ends.
type Options struct {
	Version   string            // of loupe
	Banner    string            // what a console shows first
	Language  wire.LanguageInfo // the zero value means Go, of the version that built this program
	HelpLinks []wire.HelpLink
	History   *history.Store // keeps cells beyond the session; nil means that they are forgotten with it

	// TextLimit is how many bytes of text a cell may print before the rest is dropped with a note, since
	// a browser keeps all of it in memory. 0 means 64 MB.
	TextLimit int
	// DisplayLimit is the same for what a cell shows otherwise; what replaces a display does not count. 0 means 512 MB.
	DisplayLimit int
	Log          *slog.Logger // nil means slog.Default()
}

// session is one run of a kernel.
type session struct {
	id      string
	engine  engine.Engine
	options Options
	log     *slog.Logger
	sockets *wire.Sockets
	answers chan wire.Message  // the latest input_reply, for whoever waits for one; room for one
	asking  sync.Mutex         // held while somebody waits for one
	stop    context.CancelFunc // ends the session
	ended   <-chan struct{}    // closed when the session is to end

	mu      sync.Mutex // guards the fields below
	history past
	count   int                        // execution count
	shells  map[string]*shell          // by id; "" is the main one
	serving sync.WaitGroup             // the shells' goroutines
	running map[*wire.Message]*running // what can be interrupted, by its request
	comms   map[string]string          // targets of the open comms, by id
	waiting map[string]*waitingComm    // comms with messages that are not dealt with, by id
	closing bool                       // no shell is opened any more
}

// closeTime is how long an interrupted cell may take to end before the engine is closed under it.
const closeTime = 500 * time.Millisecond

// Run serves a connection until a front end asks for shutdown or ctx is cancelled. It closes the
// engine before it returns.
func Run(ctx context.Context, connection wire.Connection, eng engine.Engine, options Options) error {
	id := uuid.NewString()
	sockets, err := wire.Listen(connection, id, options.Log)
	if err != nil {
		eng.Close()
		return err
	}
	return run(ctx, sockets, id, eng, options, nil)
}

// run is Run on sockets that are open; what arrives on interrupts, which may be nil, interrupts the running cell.
func run(ctx context.Context, sockets *wire.Sockets, id string, eng engine.Engine, options Options,
	interrupts <-chan os.Signal) error {
	if options.TextLimit == 0 {
		options.TextLimit = 64 << 20
	}
	if options.DisplayLimit == 0 {
		options.DisplayLimit = 512 << 20
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &session{
		id: id, engine: eng, options: options, log: options.Log, sockets: sockets,
		history: newHistory(options.History), answers: make(chan wire.Message, 1), stop: stop, ended: ctx.Done(),
		shells: map[string]*shell{}, running: map[*wire.Message]*running{}, comms: map[string]string{},
		waiting: map[string]*waitingComm{},
	}
	s.publish(nil, wire.KernelStatus{ExecutionState: wire.Starting})
	s.open(ctx, "")
	if _, ok := eng.(engine.UrgentComms); ok {
		s.open(ctx, urgentShell)
	}
	go s.receiveShell()
	go s.receiveStdin()
	go s.control(ctx)

	for ended := false; !ended; {
		select {
		case <-interrupts:
			s.interrupt()
		case <-ctx.Done(): // which interrupts the running cell as well
			ended = true
		}
	}
	shellDone := s.closeShells()
	select {
	case <-shellDone:
	case <-time.After(closeTime):
	}
	err := eng.Close()
	select {
	case <-shellDone:
	case <-time.After(closeTime): // the engine is closed and still at it: nothing more to wait for
	}
	sockets.Close()
	return err
}

func (s *session) receiveShell() {
	for {
		select {
		case m := <-s.sockets.Shell.Messages():
			if m.Header.Type == (wire.InterruptRequest{}).MessageType() {
				// Its place is control; VS Code sends it here, behind the cell that it is to stop.
				s.publish(&m, wire.KernelStatus{ExecutionState: wire.Busy})
				s.finish(s.sockets.Shell, &m, s.dispatchAnywhere(s.sockets.Shell, &m))
			} else if !s.accept(m) {
				s.publish(&m, wire.KernelStatus{ExecutionState: wire.Busy})
				s.finish(s.sockets.Shell, &m, fmt.Errorf("session: there is no subshell %q", m.Header.Subshell))
			}
		case <-s.ended:
			return
		}
	}
}

// accept puts a request into the queue of its shell. It reports whether there is one.
func (s *session) accept(m wire.Message) bool {
	id, isComm := commID(&m)
	urgent := isComm && s.urgent(&m)
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shells[m.Header.Subshell]
	if isComm {
		return s.shellOfComm(id, sh, urgent).queue.put(m) || s.shells[""].queue.put(m) // its shell may have been deleted
	}
	return sh != nil && sh.queue.put(m)
}

// publish tells every front end something that happened because of parent, which may be nil.
func (s *session) publish(parent *wire.Message, content wire.Content) {
	s.publishWith(parent, content, nil, nil)
}

func (s *session) publishWith(parent *wire.Message, content wire.Content, metadata json.RawMessage, buffers [][]byte) {
	m, err := wire.NewMessage(s.id, parent, content)
	if err != nil {
		s.log.Error("not published", "reason", err)
		return
	}
	m.Metadata, m.Buffers = metadata, buffers
	s.sockets.IOPub.Send(m)
}

// reply answers a request on the socket that it came from.
func (s *session) reply(on *wire.Router, request *wire.Message, content wire.Content) {
	m, err := wire.NewMessage(s.id, request, content)
	if err == nil {
		err = on.Send(m)
	}
	if err != nil {
		s.log.Warn("not answered", "request", request.Header.Type, "reason", err)
	}
}

// refuse answers a request that could not be served. Its reply has the request's type with
// "_reply" for "_request", as all have.
func (s *session) refuse(on *wire.Router, request *wire.Message, name string, err error) {
	s.log.Warn("refused", "request", request.Header.Type, "reason", err)
	s.reply(on, request, wire.ErrorReply{
		For: replyTo(request), Status: wire.StatusError,
		Name: name, Value: err.Error(), Traceback: []string{err.Error()},
	})
}
