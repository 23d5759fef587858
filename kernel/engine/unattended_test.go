package engine

import (
	"context"
	"testing"
	"time"
)

// stubborn is an engine whose cells end when somebody has insisted a few times.
type stubborn struct{ left chan struct{} }

func (s stubborn) Eval(ctx context.Context, _ Cell, _ Output) (Result, error) {
	<-ctx.Done()
	for range cap(s.left) {
		<-s.left
	}
	return Result{Failure: &Failure{Name: "Interrupted"}}, nil
}
func (s stubborn) Close() error { return nil }
func (s stubborn) Insist()      { s.left <- struct{}{} }

// Where nobody presses Stop again, a cell that an interrupt does not stop ends all the same.
func TestUnattended(t *testing.T) {
	eng := stubborn{make(chan struct{}, 3)}
	ctx, cancel := context.WithCancel(context.Background())
	release := Unattended(ctx, eng, 10*time.Millisecond)
	ended := make(chan struct{})
	go func() {
		eng.Eval(ctx, Cell{}, nil)
		close(ended)
	}()
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	release()

	// What has come to its end in time is left alone.
	calm := stubborn{make(chan struct{}, 1)}
	ctx, cancel = context.WithCancel(context.Background())
	release = Unattended(ctx, calm, time.Hour)
	cancel()
	release()
	if len(calm.left) != 0 {
		t.Error("it insists at once")
	}
}
