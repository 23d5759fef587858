package session

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/kerneltest"
	"github.com/loupeml/loupe/kernel/wire"
)

func TestEngineThatDoesNotStartIsAFailureOfTheCell(t *testing.T) {
	sockets, err := wire.Listen(local, "", nil) // finds free ports
	if err != nil {
		t.Fatal(err)
	}
	sockets.Close()
	text, err := json.Marshal(sockets.Connection)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kernel.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	starting, done := make(chan bool), make(chan error)
	start := func() (engine.Engine, error) {
		close(starting)
		return nil, errors.New("worker: build it with ./install.sh")
	}
	go func() {
		done <- RunFile(context.Background(), path, start, Options{Log: slog.New(slog.DiscardHandler)})
	}()
	<-starting
	c := kerneltest.Connect(t, sockets.Connection)
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
	start := func() (engine.Engine, error) { t.Error("the engine is started"); return nil, nil }
	if err := RunFile(context.Background(), filepath.Join(t.TempDir(), "none.json"), start, Options{}); err == nil || !strings.Contains(err.Error(), "connection file") {
		t.Errorf("got %v", err)
	}
}
