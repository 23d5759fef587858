package session

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
)

// gatherTime is how long after its beginning a failed cell waits, before anybody is told, for the cells that were sent
// after it and are still on their way. They are aborted; a cell that is sent by someone who has seen the failure never
// is.
const gatherTime = 20 * time.Millisecond

// execute runs a cell and tells every front end what comes of it.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#execute
func (s *session) execute(ctx context.Context, sh *shell, m *wire.Message) error {
	var r wire.ExecuteRequest
	if err := m.Decode(&r); err != nil {
		return err
	}
	begun := time.Now()
	blank := strings.TrimSpace(r.Code) == "" // takes no number and leaves no history
	s.mu.Lock()
	if r.StoreHistory && !blank {
		s.count++
	}
	count := s.count
	s.mu.Unlock()
	if !r.Silent {
		s.publish(m, wire.ExecuteInput{Code: r.Code, ExecutionCount: count})
	}
	out := newOutput(s, m, r)
	var result engine.Result
	if !blank {
		result = s.eval(ctx, m, engine.Cell{Number: count, Source: r.Code, Silent: r.Silent}, out)
	}
	out.flush()
	if r.StoreHistory && !blank {
		s.mu.Lock()
		s.history.add(count, r.Code, result.Value)
		s.mu.Unlock()
	}
	if f := result.Failure; f != nil {
		if r.StopOnError {
			time.Sleep(gatherTime - time.Since(begun))
			sh.queue.abort()
		}
		s.executeFailed(m, r, f, count)
		return nil
	}
	if v := result.Value; v != nil && !r.Silent {
		data, metadata := wire.NewMimeBundle(*v)
		s.publish(m, wire.ExecuteResult{
			ExecutionCount: count, Data: data, Metadata: metadata, Transient: wire.Transient{DisplayID: v.ID},
		})
	}
	s.reply(s.sockets.Shell, m, wire.ExecuteReply{
		Status: wire.StatusOK, ExecutionCount: count, Payload: payloads(result),
		UserExpressions: s.userExpressions(ctx, m, count, r.UserExpressions),
	})
	return nil
}

// payloads are what the front end shall do besides showing the cell's output.
func payloads(r engine.Result) []wire.Payload {
	out := []wire.Payload{}
	if r.Page != nil {
		data, _ := wire.NewMimeBundle(*r.Page)
		out = append(out, wire.Payload{Source: "page", Data: data, Start: new(int)})
	}
	if r.Next != nil {
		out = append(out, wire.Payload{Source: "set_next_input", Text: r.Next.Text, Replace: r.Next.Replace})
	}
	return out
}

func (s *session) executeFailed(m *wire.Message, r wire.ExecuteRequest, f *engine.Failure, count int) {
	traceback := f.Traceback
	if len(traceback) == 0 {
		traceback = []string{f.Name + ": " + f.Message}
	}
	if !r.Silent {
		s.publish(m, wire.Error{Name: f.Name, Value: f.Message, Traceback: traceback})
	}
	s.reply(s.sockets.Shell, m, wire.ErrorReply{
		For: replyTo(m), Status: wire.StatusError,
		Name: f.Name, Value: f.Message, Traceback: traceback, ExecutionCount: count,
	})
}

// eval runs a cell in such a way that interrupt reaches it. A fault of the engine is a failure of the cell with the
// name KernelError: whoever ran the cell is who can do something about it.
func (s *session) eval(ctx context.Context, m *wire.Message, cell engine.Cell,
	out engine.Output) (result engine.Result) {
	ctx, release := s.interruptible(ctx, m)
	fault := func(err error) engine.Result {
		s.log.Error("the engine failed", "reason", err)
		return engine.Result{Failure: &engine.Failure{Name: "KernelError", Message: err.Error()}}
	}
	defer func() {
		release()
		if r := recover(); r != nil {
			s.log.Error("the engine panicked", "stack", string(debug.Stack()))
			result = fault(fmt.Errorf("session: the engine panicked: %v", r))
		}
	}()
	result, err := s.engine.Eval(ctx, cell, out)
	if result.Lost {
		s.forgetComms(m)
	}
	if err != nil {
		return fault(err)
	}
	return result
}

// userExpressions evaluates each expression, and answers each with its value or with why it has none.
func (s *session) userExpressions(ctx context.Context, m *wire.Message, count int,
	expressions map[string]string) map[string]wire.UserExpression {
	answers := make(map[string]wire.UserExpression, len(expressions))
	for name, source := range expressions {
		result := s.eval(ctx, m, engine.Cell{Number: count, Source: source}, discard{})
		if f := result.Failure; f != nil {
			answers[name] = wire.UserExpression{Status: wire.StatusError, Name: f.Name, Value: f.Message, Traceback: f.Traceback}
			continue
		}
		answer := wire.UserExpression{Status: wire.StatusOK}
		if result.Value != nil {
			answer.Data, answer.Metadata = wire.NewMimeBundle(*result.Value)
		}
		answers[name] = answer
	}
	return answers
}
