package goeval

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/loupeml/loupe/kernel/engine"
)

// Front ends send the messages of widgets to subshells: callbacks are called while cells run.
func TestCallbacksBesideACell(t *testing.T) {
	in := newEvaluator(t)
	eval := func(n int, source string) {
		t.Helper()
		if r := in.Eval(context.Background(), engine.Cell{Number: n, Source: source}); r.Failure != nil {
			t.Error(plain(r.Failure.Traceback))
		}
	}
	eval(1, "total := 0")
	var beside sync.WaitGroup
	for range 2 {
		beside.Go(func() {
			called := 0
			for range 30 {
				if f := in.Call(context.Background(), func() { called++ }); f != nil {
					t.Error(plain(f.Traceback))
				}
				f := in.Call(context.Background(), func() { panic(errors.New("of the callback")) })
				if f == nil || !strings.Contains(f.Message, "of the callback") {
					t.Errorf("a callback that fails: %+v", f)
				}
				in.Complete("tot", 3)
				in.Inspect("total", 3, 0)
			}
			if called != 30 {
				t.Errorf("called %d times", called)
			}
		})
	}
	for n := range 10 {
		eval(2+n, "%%yaegi\ntotal++\nfor i := 0; i < 100; i++ {\n\t_ = i\n}")
		if r := in.Eval(context.Background(), engine.Cell{Number: 20 + n,
			Source: "%%yaegi\npanic(`of the cell`)"}); r.Failure == nil || !strings.Contains(r.Failure.Message, "of the cell") {
			t.Errorf("a cell that fails: %+v", r.Failure)
		}
	}
	beside.Wait()
	if r := in.Eval(context.Background(), engine.Cell{Number: 40, Source: "total"}); r.Value == nil ||
		r.Value.Data["text/plain"] != "10" {
		t.Errorf("total is %+v", r)
	}
}
