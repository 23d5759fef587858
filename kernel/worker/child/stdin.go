package child

import (
	"errors"
	"runtime"
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
		s.mu.Lock()
		s.question++
		question, answer := s.question, make(chan protocol.Request, 1)
		s.answer = answer
		s.mu.Unlock()
		if err := s.child.send(protocol.Message{ID: s.child.request(), Kind: protocol.IsQuestion, Question: question}); err != nil {
			return 0, err
		}
		select {
		case r := <-answer:
			if interrupt.Err() != nil {
				runtime.Goexit()
			}
			if r.Refusal != "" {
				return 0, errors.New(r.Refusal)
			}
			s.rest = []byte(r.Line + "\n")
		case <-interrupt.Context().Done():
			runtime.Goexit() // as sleep does
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
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
