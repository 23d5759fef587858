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

// interrupt cancels what is running, in all subshells. Where nothing is, it ends what earlier cells have left running.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cancel := range s.cancels {
		cancel()
	}
	if stopper, ok := s.engine.(engine.BackgroundStopper); ok && len(s.cancels) == 0 {
		stopper.StopBackground()
	}
}

// interruptible returns a context that interrupt cancels until release is called.
func (s *session) interruptible(ctx context.Context, m *wire.Message) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.cancels[m] = cancel
	s.mu.Unlock()
	return ctx, func() {
		s.mu.Lock()
		delete(s.cancels, m)
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
