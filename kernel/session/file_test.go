package session

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/kerneltest"
	"github.com/loupeml/loupe/kernel/wire"
)

func TestEngineThatDoesNotStartIsAFailureOfTheCell(t *testing.T) {
	path, connection := kerneltest.ConnectionFile(t)
	starting, done := make(chan bool), make(chan error)
	start := func(string) (engine.Engine, error) {
		close(starting)
		return nil, errors.New("worker: build it with ./install.sh")
	}
	go func() {
		done <- RunFile(context.Background(), path, "", start, Options{Log: slog.New(slog.DiscardHandler)})
	}()
	<-starting
	c := kerneltest.Connect(t, connection)
	c.Execute("6*7")
	c.WantBusy()
	c.WantExecuteInput("6*7")
	if e := c.WantError("KernelError"); !strings.Contains(e.Value, "./install.sh") {
		t.Errorf("got %q", e.Value)
	}
	c.WantFailed(wire.StatusError)
	c.WantIdle()
	c.WantShutdown(false)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunFileRefusesAFileThatIsNone(t *testing.T) {
	start := func(string) (engine.Engine, error) { t.Error("the engine is started"); return nil, nil }
	if err := RunFile(context.Background(), filepath.Join(t.TempDir(), "none.json"), "", start, Options{}); err == nil ||
		!strings.Contains(err.Error(), "connection file") {
		t.Errorf("got %v", err)
	}
}
