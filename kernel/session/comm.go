package session

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/comm"
)

// comm passes a message of the front end on to the cells. What they do because of it belongs to the message.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#custom-messages
func (s *session) comm(ctx context.Context, m *wire.Message) error {
	// The three kinds of content are one with fields left out.
	var content wire.CommOpen
	if err := m.Decode(&content); err != nil {
		return err
	}
	defer s.dealtWith(content.CommID)
	message := comm.Message{
		Kind: comm.Kind(m.Header.Type), ID: content.CommID, Target: content.TargetName,
		Data: content.Data, Metadata: m.Metadata, Buffers: m.Buffers, Content: m.Content, Request: m.Header.ID,
	}
	handler, ok := s.engine.(engine.CommHandler)
	if !ok {
		if message.Kind == comm.Opening {
			s.publish(m, wire.CommClose{CommID: content.CommID, Data: json.RawMessage("{}")})
		}
		return nil
	}
	s.note(message)
	out := newOutput(s, m, wire.ExecuteRequest{})
	ctx, release := s.interruptible(ctx, m)
	defer release()
	failure, err := handler.Comm(ctx, message, out)
	if err != nil {
		failure = &engine.Failure{Name: "KernelError", Message: err.Error(), Traceback: []string{err.Error()}}
	}
	if failure != nil {
		// Nobody waits for an answer. An error message would not be shown by all front ends.
		out.Text(engine.Stderr, strings.Join(failure.Traceback, "\n")+"\n")
	}
	out.flush()
	return nil
}

// urgentShell is the queue of messages that are for a cell that runs. No front end can name it.
const urgentShell = "\x00"

func (s *session) urgent(m *wire.Message) bool {
	e, ok := s.engine.(engine.UrgentComms)
	var content wire.CommOpen
	return ok && m.Decode(&content) == nil &&
		e.AtOnce(comm.Message{Kind: comm.Kind(m.Header.Type), ID: content.CommID, Target: content.TargetName})
}

// commID returns the comm that a message is for.
func commID(m *wire.Message) (id string, ok bool) {
	var content wire.CommOpen
	if !strings.HasPrefix(m.Header.Type, "comm_") || strings.HasSuffix(m.Header.Type, "_request") ||
		m.Decode(&content) != nil {
		return "", false
	}
	return content.CommID, true
}

// waitingComm is a comm with messages that are not dealt with yet.
type waitingComm struct {
	shell    *shell
	messages int
}

// shellOfComm returns the shell that a comm's message is for, and counts it. The caller holds mu.
//
// JupyterLab sends a comm's messages to a subshell of their own once there is one, and those before that, the opening
// for one, to the main shell. Messages of a comm keep their order: while some of them wait in one shell, others follow
// them there. When JupyterLab closes the last comm of a subshell, it deletes the subshell over another socket, which
// may be faster than the message that closes the comm: such a message is for the main shell.
func (s *session) shellOfComm(id string, addressed *shell, urgent bool) *shell {
	w := s.waiting[id]
	if w == nil {
		w = &waitingComm{shell: addressed}
		if w.shell == nil {
			w.shell = s.shells[""]
		}
		s.waiting[id] = w
	}
	w.messages++
	if urgent {
		return s.shells[urgentShell]
	}
	return w.shell
}

// dealtWith notes that a message of a comm does not wait any more.
func (s *session) dealtWith(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.waiting[id]; w != nil {
		if w.messages--; w.messages <= 0 {
			delete(s.waiting, id)
		}
	}
}

// note keeps the list of open comms.
func (s *session) note(m comm.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Kind {
	case comm.Opening:
		s.comms[m.ID] = m.Target
	case comm.Closing:
		delete(s.comms, m.ID)
	}
}

// Comm publishes a message that a cell sends over a comm.
func (o *output) Comm(m comm.Message) {
	o.session.note(m)
	data := m.Data
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	var content wire.Content
	switch m.Kind {
	case comm.Opening:
		content = wire.CommOpen{CommID: m.ID, TargetName: m.Target, Data: data}
	case comm.Closing:
		content = wire.CommClose{CommID: m.ID, Data: data}
	default:
		content = wire.CommMsg{CommID: m.ID, Data: data}
	}
	o.publishWith(content, m.Metadata, m.Buffers)
}

func (s *session) commInfo(m *wire.Message) error {
	var r wire.CommInfoRequest
	if err := m.Decode(&r); err != nil {
		return err
	}
	comms := map[string]wire.CommInfo{}
	s.mu.Lock()
	for id, target := range s.comms {
		if r.TargetName == "" || r.TargetName == target {
			comms[id] = wire.CommInfo{TargetName: target}
		}
	}
	s.mu.Unlock()
	s.reply(s.sockets.Shell, m, wire.CommInfoReply{Status: wire.StatusOK, Comms: comms})
	return nil
}

// forgetComms closes the comms of cells that are gone with their process: the controls in the front end then show that
// they are dead.
func (s *session) forgetComms(parent *wire.Message) {
	s.mu.Lock()
	comms := s.comms
	s.comms = map[string]string{}
	s.mu.Unlock()
	for id := range comms {
		s.publish(parent, wire.CommClose{CommID: id, Data: json.RawMessage("{}")})
	}
}
