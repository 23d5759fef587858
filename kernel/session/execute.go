package session

import (
	"context"
	"fmt"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
	"github.com/loupeml/loupe/lib/mime"
)

// abortWindow is how long after a failed cell further cells are waited for that the client sent before it
// could know: they are already on their way, but not yet in the queue.
const abortWindow = 50 * time.Millisecond

// execute runs a cell and tells everyone what comes of it.
func (s *Session) execute(ctx context.Context, m *wire.Message) {
	var r wire.ExecuteRequest
	if err := m.Unmarshal(&r); err != nil {
		s.reply(wire.Shell, m, "execute_reply", errorReply(err))
		return
	}
	store := !r.Silent && (r.StoreHistory == nil || *r.StoreHistory)
	if store {
		s.count++
		s.history.add(s.count, r.Code)
	}
	if !r.Silent {
		s.publish("execute_input", m, wire.ExecuteInput{Code: r.Code, ExecutionCount: s.count})
	}
	out := newOutput(s, m)
	result, err := s.eval(ctx, engine.Cell{Number: s.count, Source: r.Code, Silent: r.Silent}, out)
	out.flush()
	answer := wire.ExecuteReply{Status: "ok", ExecutionCount: s.count}
	failure := result.Failure
	if err != nil {
		failure = &engine.Failure{Name: "KernelError", Message: err.Error(), Traceback: []string{err.Error()}}
	}
	switch {
	case failure != nil:
		content := wire.ErrorContent{Name: failure.Name, Value: failure.Message, Traceback: failure.Traceback}
		if content.Traceback == nil {
			content.Traceback = []string{failure.Message}
		}
		s.publish("error", m, content)
		answer.Status, answer.ErrorContent = "error", &content
	case result.Value != nil && !r.Silent:
		d := wire.NewDisplayData(*result.Value)
		d.ExecutionCount = s.count
		s.publish("execute_result", m, d)
	}
	if failure == nil {
		answer.Payload = []any{}
		answer.UserExpressions = s.userExpressions(ctx, r.UserExpressions, out)
	}
	s.reply(wire.Shell, m, "execute_reply", answer)
	if failure != nil && (r.StopOnError == nil || *r.StopOnError) {
		s.abortQueued()
	}
}

// eval runs a cell so that interrupt can reach it.
func (s *Session) eval(ctx context.Context, cell engine.Cell, out engine.Output) (engine.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	result, err := s.engine.Eval(ctx, cell, out)
	s.mu.Lock()
	s.cancel = nil
	s.mu.Unlock()
	return result, err
}

func (s *Session) userExpressions(ctx context.Context, expressions map[string]string, out engine.Output) map[string]any {
	answers := map[string]any{}
	for name, source := range expressions {
		result, err := s.eval(ctx, engine.Cell{Number: s.count, Source: source, Silent: true}, out)
		switch {
		case err != nil:
			answers[name] = errorReply(err)
		case result.Failure != nil:
			answers[name] = errorReply(fmt.Errorf("%s", result.Failure.Message))
		default:
			var b mime.Bundle
			if result.Value != nil {
				b = *result.Value
			}
			d := wire.NewDisplayData(b)
			answers[name] = map[string]any{"status": "ok", "data": d.Data, "metadata": d.Metadata}
		}
	}
	return answers
}

// abortQueued answers the cells that were sent after one that failed, without running them.
func (s *Session) abortQueued() {
	time.Sleep(abortWindow)
	for _, m := range s.queue.takeCells() {
		s.publish("status", m, wire.ExecutionState{State: "busy"})
		s.reply(wire.Shell, m, "execute_reply", wire.ExecuteReply{Status: "aborted", ExecutionCount: s.count})
		s.publish("status", m, wire.ExecutionState{State: "idle"})
	}
}
