package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
)

// serve answers the requests of a shell in the order in which they came.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-shell-router-dealer-channel
func (s *session) serve(ctx context.Context, sh *shell) {
	for {
		next, ok := sh.queue.take()
		if !ok || ctx.Err() != nil {
			return
		}
		m := &next.request
		s.publish(m, wire.KernelStatus{ExecutionState: wire.Busy})
		var err error
		if next.aborted {
			s.reply(s.sockets.Shell, m, wire.AbortedReply{For: replyTo(m), Status: wire.StatusAborted})
		} else {
			err = s.dispatchShell(ctx, sh, m)
		}
		s.finish(s.sockets.Shell, m, err)
	}
}

// dispatchShell answers one request; an error says that it has not been answered.
func (s *session) dispatchShell(ctx context.Context, sh *shell, m *wire.Message) error {
	switch m.Header.Type {
	case "execute_request":
		return s.execute(ctx, sh, m)
	case "is_complete_request":
		return s.isComplete(m)
	case "complete_request":
		return s.complete(ctx, m)
	case "inspect_request":
		return s.inspect(ctx, m)
	case "history_request":
		return s.answerHistory(m)
	case "comm_info_request":
		return s.commInfo(m)
	case "comm_open", "comm_msg", "comm_close":
		return s.comm(ctx, m)
	default:
		return s.dispatchAnywhere(s.sockets.Shell, m)
	}
}

// dispatchAnywhere answers what may be asked on shell and on control.
func (s *session) dispatchAnywhere(on *wire.Router, m *wire.Message) error {
	switch m.Header.Type {
	case "kernel_info_request":
		s.reply(on, m, s.info())
	case "interrupt_request":
		s.interrupt()
		s.reply(on, m, wire.InterruptReply{Status: wire.StatusOK})
	case "shutdown_request":
		return s.shutdown(on, m)
	default:
		if !strings.HasSuffix(m.Header.Type, "_request") {
			s.log.Debug("ignored", "message", m.Header.Type)
			return nil
		}
		return fmt.Errorf("session: there is no answer to a %s", m.Header.Type)
	}
	return nil
}

// replyTo is the type of the reply to a request.
func replyTo(m *wire.Message) string {
	return strings.TrimSuffix(m.Header.Type, "_request") + "_reply"
}

func (s *session) isComplete(m *wire.Message) error {
	var r wire.IsCompleteRequest
	if err := m.Decode(&r); err != nil {
		return err
	}
	answer := wire.IsCompleteReply{Status: wire.Unknown}
	if checker, ok := s.engine.(engine.CompletenessChecker); ok {
		c, indent := checker.IsComplete(r.Code)
		answer.Status = wire.Completeness(c)
		if c == engine.Incomplete {
			answer.Indent = indent
		}
	}
	s.reply(s.sockets.Shell, m, answer)
	return nil
}

func (s *session) complete(ctx context.Context, m *wire.Message) error {
	var r wire.CompleteRequest
	if err := m.Decode(&r); err != nil {
		return err
	}
	cursor := within(r.CursorPos, r.Code)
	answer := wire.CompleteReply{Status: wire.StatusOK, Matches: []string{}, CursorStart: cursor, CursorEnd: cursor}
	if completer, ok := s.engine.(engine.Completer); ok {
		matches, start, end, err := completer.Complete(ctx, r.Code, cursor)
		if err != nil {
			return err
		}
		answer.CursorStart, answer.CursorEnd = start, end
		for _, match := range matches {
			answer.Matches = append(answer.Matches, match.Text)
			answer.Metadata.Types = append(answer.Metadata.Types,
				wire.TypedMatch{Text: match.Text, Type: match.Type, Signature: match.Doc, Start: start, End: end})
		}
	}
	s.reply(s.sockets.Shell, m, answer)
	return nil
}

func (s *session) inspect(ctx context.Context, m *wire.Message) error {
	var r wire.InspectRequest
	if err := m.Decode(&r); err != nil {
		return err
	}
	answer := wire.InspectReply{Status: wire.StatusOK, Data: wire.MimeBundle{}, Metadata: map[string]map[string]any{}}
	if inspector, ok := s.engine.(engine.Inspector); ok {
		b, found, err := inspector.Inspect(ctx, r.Code, within(r.CursorPos, r.Code), r.DetailLevel)
		if err != nil {
			return err
		}
		if found {
			answer.Found = true
			answer.Data, answer.Metadata = wire.NewMimeBundle(b)
		}
	}
	s.reply(s.sockets.Shell, m, answer)
	return nil
}

// within keeps a cursor, in code points, inside the code.
func within(cursor int, code string) int {
	return max(0, min(cursor, len([]rune(code))))
}
