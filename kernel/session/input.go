package session

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
)

var _ engine.Prompter = (*output)(nil)

// connectTime is how long a front end that has just connected may take to have its stdin socket there too.
const connectTime = 2 * time.Second

// Input asks the person at the front end that sent the cell.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-stdin-router-dealer-channel
func (o *output) Input(ctx context.Context, prompt string, password bool) (string, error) {
	s := o.session
	if !o.ask {
		return "", errors.New("session: this front end cannot be asked for input (it sent allow_stdin false)")
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	o.flush()
	select {
	case <-s.answers: // to an earlier question, which nobody waits for any more
	default:
	}
	question, err := wire.NewMessage(s.id, o.request, wire.InputRequest{Prompt: prompt, Password: password})
	if err != nil {
		return "", err
	}
	for start := time.Now(); ; {
		err := s.sockets.Stdin.Send(question)
		if err == nil {
			break
		}
		if !errors.Is(err, wire.ErrNoPeer) || time.Since(start) > connectTime {
			return "", err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	for {
		select {
		case m := <-s.answers:
			// Some clients leave out the parent, and may; an answer to an earlier question is none to this one.
			if p := m.ParentID(); p != "" && p != question.Header.ID {
				continue
			}
			var answer wire.InputReply
			if err := m.Decode(&answer); err != nil {
				return "", err
			}
			if answer.Status == wire.StatusError {
				return "", errors.New("session: the front end could not ask for input")
			}
			// Ctrl-D, by which front ends of a terminal tell the end of the input, as ipykernel takes it.
			if before, ended := strings.CutSuffix(answer.Value, "\x04"); ended {
				return before, io.EOF
			}
			return answer.Value, nil
		case <-ctx.Done():
			return "", ctx.Err()
		case <-s.ended:
			return "", errors.New("session: the kernel is ending")
		}
	}
}

// receiveStdin keeps the latest answer for whoever waits for one.
func (s *session) receiveStdin() {
	for {
		select {
		case m := <-s.sockets.Stdin.Messages():
			if m.Header.Type != (wire.InputReply{}).MessageType() {
				continue
			}
			select {
			case <-s.answers:
			default:
			}
			s.answers <- m // there is room, and nobody else sends
		case <-s.ended:
			return
		}
	}
}
