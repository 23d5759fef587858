// Package session is a Jupyter kernel without a language: it takes messages from package wire, runs cells on an
// engine.Engine and answers. It knows no Go semantics.
package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"

	"github.com/google/uuid"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/mime"
)

// Options describes the kernel to its clients.
type Options struct {
	Version  string // of loupe
	Language wire.LanguageInfo
	Banner   string
}

// Session serves one connection.
type Session struct {
	id      string
	engine  engine.Engine
	options Options
	sockets *wire.Sockets
	stop    context.CancelFunc

	queue *queue // of shell requests

	mu      sync.Mutex         // guards cancel
	cancel  context.CancelFunc // interrupts the running cell; nil between cells
	count   int                // of executed cells; used by the shell's goroutine only
	history history
}

// Run serves the connection until a client asks for shutdown or ctx is cancelled, and closes the engine.
func Run(ctx context.Context, connection wire.Connection, eng engine.Engine, options Options) error {
	sockets, err := wire.Listen(connection)
	if err != nil {
		eng.Close()
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &Session{id: uuid.NewString(), engine: eng, options: options, sockets: sockets, stop: stop, queue: newQueue()}
	s.publish("status", nil, wire.ExecutionState{State: "starting"})

	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	go func() {
		for range interrupts {
			s.interrupt()
		}
	}()
	go s.control()
	go s.receiveShell()
	go s.shell(ctx)
	<-ctx.Done()
	s.interrupt()
	err = eng.Close()
	s.queue.close()
	sockets.Close()
	return err
}

// control answers the control channel. It stays away from the queue of cells: it must never wait for one.
func (s *Session) control() {
	for {
		m, err := s.sockets.Receive(wire.Control)
		if err != nil {
			return
		}
		s.publish("status", m, wire.ExecutionState{State: "busy"})
		shutdown := false
		switch m.Header.Type {
		case "interrupt_request":
			s.interrupt()
			s.reply(wire.Control, m, "interrupt_reply", wire.Status{Status: "ok"})
		case "shutdown_request":
			s.shutdown(wire.Control, m)
			shutdown = true
		case "kernel_info_request":
			s.kernelInfo(wire.Control, m)
		default:
			s.unknown(wire.Control, m)
		}
		s.publish("status", m, wire.ExecutionState{State: "idle"})
		if shutdown {
			s.stop()
			return
		}
	}
}

// interrupt cancels the running cell, if there is one.
func (s *Session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

func (s *Session) receiveShell() {
	for {
		m, err := s.sockets.Receive(wire.Shell)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				log.Printf("loupe: %v", err)
			}
			return
		}
		s.queue.put(m)
	}
}

// shell answers the shell channel in the order in which requests came.
func (s *Session) shell(ctx context.Context) {
	for {
		m, ok := s.queue.take()
		if !ok {
			return
		}
		s.publish("status", m, wire.ExecutionState{State: "busy"})
		shutdown := false
		switch m.Header.Type {
		case "execute_request":
			s.execute(ctx, m)
		case "kernel_info_request":
			s.kernelInfo(wire.Shell, m)
		case "is_complete_request":
			s.isComplete(m)
		case "complete_request":
			s.complete(ctx, m)
		case "inspect_request":
			s.inspect(ctx, m)
		case "history_request":
			s.answerHistory(m)
		case "comm_info_request":
			s.reply(wire.Shell, m, "comm_info_reply", wire.CommInfoReply{Status: "ok", Comms: map[string]any{}})
		case "comm_open":
			// There is nobody here to talk to: say so, as the protocol asks.
			var c wire.Comm
			if m.Unmarshal(&c) == nil {
				s.publish("comm_close", m, wire.Comm{ID: c.ID, Data: map[string]any{}})
			}
		case "comm_msg", "comm_close":
		case "shutdown_request": // old clients send it here
			s.shutdown(wire.Shell, m)
			shutdown = true
		default:
			s.unknown(wire.Shell, m)
		}
		s.publish("status", m, wire.ExecutionState{State: "idle"})
		if shutdown {
			s.stop()
			return
		}
	}
}

func (s *Session) shutdown(on wire.Channel, m *wire.Message) {
	var content wire.Shutdown
	if err := m.Unmarshal(&content); err != nil {
		log.Printf("loupe: %v", err)
	}
	content.Status = "ok"
	s.interrupt()
	s.reply(on, m, "shutdown_reply", content)
	s.publish("shutdown_reply", m, content)
}

func (s *Session) unknown(on wire.Channel, m *wire.Message) {
	log.Printf("loupe: no answer to a %s", m.Header.Type)
}

func (s *Session) kernelInfo(on wire.Channel, m *wire.Message) {
	s.reply(on, m, "kernel_info_reply", wire.KernelInfoReply{
		Status: "ok", ProtocolVersion: wire.ProtocolVersion,
		Implementation: "loupe", ImplementationVersion: s.options.Version,
		LanguageInfo: s.options.Language, Banner: s.options.Banner,
		HelpLinks: []wire.HelpLink{}, SupportedFeatures: []string{},
	})
}

func (s *Session) isComplete(m *wire.Message) {
	var r wire.IsCompleteRequest
	answer := wire.IsCompleteReply{Status: string(engine.Unknown)}
	if checker, ok := s.engine.(engine.CompletenessChecker); ok && m.Unmarshal(&r) == nil {
		c, indent := checker.IsComplete(r.Code)
		answer = wire.IsCompleteReply{Status: string(c), Indent: indent}
	}
	s.reply(wire.Shell, m, "is_complete_reply", answer)
}

func (s *Session) complete(ctx context.Context, m *wire.Message) {
	var r wire.CompleteRequest
	if err := m.Unmarshal(&r); err != nil {
		s.reply(wire.Shell, m, "complete_reply", errorReply(err))
		return
	}
	answer := wire.CompleteReply{Status: "ok", Matches: []string{}, Start: r.Cursor, End: r.Cursor, Metadata: map[string]any{}}
	if completer, ok := s.engine.(engine.Completer); ok {
		matches, start, end, err := completer.Complete(ctx, r.Code, r.Cursor)
		if err != nil {
			s.reply(wire.Shell, m, "complete_reply", errorReply(err))
			return
		}
		typed := []wire.TypedMatch{}
		for _, match := range matches {
			answer.Matches = append(answer.Matches, match.Text)
			typed = append(typed, wire.TypedMatch{Start: start, End: end, Text: match.Text, Type: match.Type, Signature: match.Doc})
		}
		answer.Start, answer.End = start, end
		answer.Metadata["_jupyter_types_experimental"] = typed
	}
	s.reply(wire.Shell, m, "complete_reply", answer)
}

func (s *Session) inspect(ctx context.Context, m *wire.Message) {
	var r wire.InspectRequest
	if err := m.Unmarshal(&r); err != nil {
		s.reply(wire.Shell, m, "inspect_reply", errorReply(err))
		return
	}
	var b mime.Bundle
	found := false
	if inspector, ok := s.engine.(engine.Inspector); ok {
		var err error
		if b, found, err = inspector.Inspect(ctx, r.Code, r.Cursor, r.Detail); err != nil {
			s.reply(wire.Shell, m, "inspect_reply", errorReply(err))
			return
		}
	}
	d := wire.NewDisplayData(b)
	s.reply(wire.Shell, m, "inspect_reply", wire.InspectReply{Status: "ok", Found: found, Data: d.Data, Metadata: d.Metadata})
}

func (s *Session) answerHistory(m *wire.Message) {
	var r wire.HistoryRequest
	if err := m.Unmarshal(&r); err != nil {
		s.reply(wire.Shell, m, "history_reply", errorReply(err))
		return
	}
	s.reply(wire.Shell, m, "history_reply", wire.HistoryReply{Status: "ok", History: s.history.answer(r)})
}

// errorReply is the content of any reply to a request that failed for a reason of its own.
func errorReply(err error) any {
	return struct {
		Status string `json:"status"`
		wire.ErrorContent
	}{"error", wire.ErrorContent{Name: "RequestError", Value: err.Error(), Traceback: []string{err.Error()}}}
}

func (s *Session) reply(on wire.Channel, parent *wire.Message, msgType string, content any) {
	m, err := wire.New(s.id, msgType, parent, content)
	if err == nil {
		err = s.sockets.Reply(on, parent, m)
	}
	if err != nil {
		log.Printf("loupe: %s: %v", msgType, err)
	}
}

func (s *Session) publish(msgType string, parent *wire.Message, content any) {
	m, err := wire.New(s.id, msgType, parent, content)
	if err == nil {
		err = s.sockets.Publish(m)
	}
	if err != nil {
		log.Printf("loupe: %s: %v", msgType, err)
	}
}

// queue holds the shell's requests. It has no bound, so that receiving never waits.
type queue struct {
	mu     sync.Mutex // guards items, closed
	ready  *sync.Cond
	items  []*wire.Message
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.ready = sync.NewCond(&q.mu)
	return q
}

func (q *queue) put(m *wire.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, m)
	q.ready.Signal()
}

// take waits for a request; false says that the queue is closed.
func (q *queue) take() (*wire.Message, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 && !q.closed {
		q.ready.Wait()
	}
	if q.closed {
		return nil, false
	}
	m := q.items[0]
	q.items = q.items[1:]
	return m, true
}

// takeCells removes the cells that wait, and leaves the other requests.
func (q *queue) takeCells() (cells []*wire.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := q.items[:0]
	for _, m := range q.items {
		if m.Header.Type == "execute_request" {
			cells = append(cells, m)
		} else {
			kept = append(kept, m)
		}
	}
	q.items = kept
	return cells
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.ready.Broadcast()
}

// Banner is what a console shows first.
func Banner(version, goVersion string) string {
	return fmt.Sprintf("loupe %s, %s: why will this image classifier fail?", version, goVersion)
}
