package session

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/wire"
)

// RunFile is what `loupe kernel -f FILE` does: it serves the connection that the file describes, until a front end asks
// for shutdown, SIGTERM or SIGHUP arrives, or the Jupyter that started the process is gone. SIGINT interrupts the
// running cell.
//
// start makes the engine. When it fails the kernel still runs, and every cell fails with start's error: a sentence in
// the notebook, where the person is, rather than a kernel that dies.
func RunFile(ctx context.Context, path string, start func() (engine.Engine, error), options Options) error {
	connection, err := wire.ReadConnection(path)
	if err != nil {
		return err
	}
	id := uuid.NewString()
	// The ports are open before the engine has started: what is sent meanwhile waits.
	sockets, err := wire.Listen(connection, id, options.Log)
	if err != nil {
		return err
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	eng, err := start()
	if err != nil {
		eng = unavailable{err}
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	go watchParent(ctx, stop)
	return run(ctx, sockets, id, eng, options, interrupts)
}

// unavailable is the engine that could not be started.
type unavailable struct{ reason error }

func (u unavailable) Eval(context.Context, engine.Cell, engine.Output) (engine.Result, error) {
	return engine.Result{}, u.reason
}

func (u unavailable) Close() error { return nil }

// watchParent ends a kernel whose Jupyter was killed: nobody will ever send it a shutdown_request. Jupyter
// says with JPY_PARENT_PID that it is the parent.
func watchParent(ctx context.Context, stop func()) {
	parent, err := strconv.Atoi(os.Getenv("JPY_PARENT_PID"))
	if err != nil || parent != os.Getppid() {
		return // started by something in between, of which nothing is known
	}
	for os.Getppid() == parent {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
	slog.Warn("the Jupyter that started this kernel is gone; the kernel ends")
	stop()
}
