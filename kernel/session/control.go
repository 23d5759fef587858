package session

import (
	"github.com/loupeml/loupe/kernel/wire"
)

// control answers the requests on control. It stays away from the queue of cells and must not block: an interrupt
// or a shutdown that waited for the running cell would come too late.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-control-router-dealer-channel
func (s *session) control() {
	for {
		select {
		case m := <-s.sockets.Control.Messages():
			s.publish(&m, wire.KernelStatus{ExecutionState: wire.Busy})
			err := s.dispatchAnywhere(s.sockets.Control, &m)
			s.finish(s.sockets.Control, &m, err)
		case <-s.ended:
			return
		}
	}
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

// interrupt cancels the running cell, if there is one.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
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
