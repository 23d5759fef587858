package session

import (
	"context"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
)

// control answers the requests on control. It stays away from the queue of cells and must not block: an interrupt
// or a shutdown that waited for the running cell would come too late.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-control-router-dealer-channel
func (s *session) control(ctx context.Context) {
	for {
		select {
		case m := <-s.sockets.Control.Messages():
			s.publish(&m, wire.KernelStatus{ExecutionState: wire.Busy})
			err := s.dispatchControl(ctx, &m)
			s.finish(s.sockets.Control, &m, err)
		case <-s.ended:
			return
		}
	}
}

// dispatchControl answers one request; an error says that it has not been answered.
func (s *session) dispatchControl(ctx context.Context, m *wire.Message) error {
	switch m.Header.Type {
	case "create_subshell_request":
		return s.createSubshell(ctx, m)
	case "delete_subshell_request":
		return s.deleteSubshell(m)
	case "list_subshell_request":
		return s.listSubshells(m)
	}
	return s.dispatchAnywhere(s.sockets.Control, m)
}

// finish ends a request that was dispatched: it answers the one that could not be served, says
// that the kernel is idle, and ends the session after a shutdown.
func (s *session) finish(on *wire.Router, m *wire.Message, err error) {
	if err != nil {
		s.refuse(on, m, "RequestError", err)
	}
	s.publish(m, wire.KernelStatus{ExecutionState: wire.Idle})
	if err == nil && m.Header.Type == (wire.ShutdownRequest{}).MessageType() {
		s.stop()
	}
}

// running is something that runs because of a request.
type running struct {
	cancel  context.CancelFunc
	stopped bool // it has been cancelled
}

// interrupt is a person's pressing Stop, which names no cell. It cancels what runs in the main shell: the cell with the
// star, or a callback that keeps it from running. That is what ipykernel's interrupt reaches, too. Where nothing runs
// there, it cancels what runs in subshells, as a slider's callback does; and where nothing runs at all, it ends what
// earlier cells have left running. Of what has been cancelled and goes on, it insists on the end.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	reached := s.runningIn(func(m *wire.Message) bool { return m.Header.Subshell == "" })
	if len(reached) == 0 {
		reached = s.runningIn(func(*wire.Message) bool { return true })
	}
	if len(reached) == 0 {
		if stopper, ok := s.engine.(engine.BackgroundStopper); ok {
			stopper.StopBackground()
		}
		return
	}
	again := false
	for _, r := range reached {
		again = again || r.stopped
		r.stopped = true
		r.cancel()
	}
	if insister, ok := s.engine.(engine.Insister); ok && again {
		insister.Insist()
	}
}

// runningIn returns what runs because of the requests that in names. The caller holds mu.
func (s *session) runningIn(in func(*wire.Message) bool) (found []*running) {
	for m, r := range s.running {
		if in(m) {
			found = append(found, r)
		}
	}
	return found
}

// interruptible returns a context that interrupt cancels until release is called.
func (s *session) interruptible(ctx context.Context, m *wire.Message) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.running[m] = &running{cancel: cancel}
	s.mu.Unlock()
	return ctx, func() {
		s.mu.Lock()
		delete(s.running, m)
		s.mu.Unlock()
		cancel()
	}
}

// shutdown answers a shutdown_request, and tells the other front ends. It does not end the session yet.
func (s *session) shutdown(on *wire.Router, m *wire.Message) error {
	var r wire.ShutdownRequest
	if err := m.Decode(&r); err != nil {
		return err
	}
	answer := wire.ShutdownReply{Status: wire.StatusOK, Restart: r.Restart}
	s.reply(on, m, answer)
	s.publish(m, answer)
	return nil
}
