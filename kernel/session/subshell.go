package session

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
)

// shell is a queue of requests that are served one after the other. There is a main one, and front ends can have
// further ones, which are served at the same time.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#subshells
type shell struct {
	queue *queue
}

// open begins to serve a shell, unless the session ends.
func (s *session) open(ctx context.Context, id string) {
	sh := &shell{queue: newQueue()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	s.shells[id] = sh
	s.serving.Go(func() { s.serve(ctx, sh) })
}

// closeShells has the shells serve nothing more; the channel is closed when they do not any more.
func (s *session) closeShells() <-chan struct{} {
	s.mu.Lock()
	s.closing = true
	for _, sh := range s.shells {
		sh.queue.close()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(done)
	}()
	return done
}

// concurrent reports whether the engine runs several cells at a time.
func (s *session) concurrent() bool {
	e, ok := s.engine.(engine.Concurrent)
	return ok && e.Concurrent()
}

func (s *session) createSubshell(ctx context.Context, m *wire.Message) error {
	if !s.concurrent() {
		return fmt.Errorf("session: this kernel has no subshells")
	}
	id := uuid.NewString()
	s.open(ctx, id)
	s.reply(s.sockets.Control, m, wire.CreateSubshellReply{Status: wire.StatusOK, SubshellID: id})
	return nil
}

// deleteSubshell closes a subshell. What it is running comes to its end, and what waits there is still served.
func (s *session) deleteSubshell(m *wire.Message) error {
	var r wire.DeleteSubshellRequest
	if err := m.Decode(&r); err != nil {
		return err
	}
	s.mu.Lock()
	sh := s.shells[r.SubshellID]
	ours := r.SubshellID == "" || r.SubshellID == urgentShell
	if !ours {
		delete(s.shells, r.SubshellID)
	}
	s.mu.Unlock()
	if sh == nil || ours {
		return fmt.Errorf("session: there is no subshell %q", r.SubshellID)
	}
	sh.queue.end()
	s.reply(s.sockets.Control, m, wire.DeleteSubshellReply{Status: wire.StatusOK})
	return nil
}

func (s *session) listSubshells(m *wire.Message) error {
	s.mu.Lock()
	ids := slices.Sorted(maps.Keys(s.shells))
	s.mu.Unlock()
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" || id == urgentShell })
	s.reply(s.sockets.Control, m, wire.ListSubshellReply{Status: wire.StatusOK, SubshellIDs: append([]string{}, ids...)})
	return nil
}
