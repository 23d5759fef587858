package child

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"

	"github.com/loupeml/loupe/kernel/worker/protocol"
	"github.com/loupeml/loupe/lib/interrupt"
)

// stdin is the standard input of cells: a read asks the person at the front end for a line. Its Read is for
// one goroutine at a time, as a file's contents are.
type stdin struct {
	child *child
	rest  []byte // of the last line; used by Read only

	mu       sync.Mutex            // guards the fields below
	question int                   // the number of the last question
	answer   chan protocol.Request // where its answer goes; nil when nobody waits
}

// Read gives the next bytes of what the person types, the end of the line included.
func (s *stdin) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		line, ended, err := s.line(context.Background(), "", false)
		if err != nil {
			return 0, err
		}
		if !ended {
			line += "\n"
		} else if line == "" {
			return 0, io.EOF
		}
		s.rest = []byte(line)
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// ask has the person type a line, until ctx is cancelled. The error is io.EOF where there is none.
func (s *stdin) ask(ctx context.Context, prompt string, password bool) (string, error) {
	line, ended, err := s.line(ctx, prompt, password)
	if err == nil && ended && line == "" {
		err = io.EOF
	}
	return strings.TrimSuffix(line, "\r"), err
}

// line has the person type a line; ended is set where no more can come, and the line has no end.
func (s *stdin) line(ctx context.Context, prompt string, password bool) (line string, ended bool, err error) {
	s.mu.Lock()
	s.question++
	question, answer := s.question, make(chan protocol.Request, 1)
	s.answer = answer
	s.mu.Unlock()
	m := protocol.Message{ID: s.child.request(), Kind: protocol.IsQuestion, Question: question, Prompt: prompt,
		Password: password}
	if err := s.child.send(m); err != nil {
		return "", false, err
	}
	select {
	case r := <-answer:
		if interrupt.Err() != nil {
			runtime.Goexit()
		}
		if r.Refusal != "" {
			return "", false, errors.New(r.Refusal)
		}
		return r.Line, r.Ended, nil
	case <-ctx.Done():
		return "", false, ctx.Err()
	case <-interrupt.Context().Done():
		runtime.Goexit() // as sleep does
	}
	panic("unreachable")
}

// typed passes on an answer; one to a question that nobody waits for any more is dropped.
func (s *stdin) typed(r protocol.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer != nil && r.Question == s.question {
		s.answer <- r
		s.answer = nil
	}
}
