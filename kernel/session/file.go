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
// running cell. Where the file is for a registration, the kernel chooses its ports, tells them to who started it, and
// writes a connection file for others into the folder runtime.
//
// start makes the engine; it gets the kernel's id, where the file says one. When it fails the kernel still runs, and
// every cell fails with start's error: a sentence in the notebook, where the person is, rather than a kernel that dies.
func RunFile(ctx context.Context, path, runtime string, start func(kernelID string) (engine.Engine, error),
	options Options) error {
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
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	go watchParent(ctx, stop)
	forget, err := register(ctx, sockets, path, runtime)
	if err != nil {
		sockets.Close()
		return err
	}
	defer forget()
	kernelID := ""
	if r := connection.Registration; r != nil {
		kernelID = r.KernelID
	}
	eng, err := start(kernelID)
	if err != nil {
		eng = unavailable{err}
	}
	return run(ctx, sockets, id, eng, options, interrupts)
}

// register tells the ports to who started the kernel, where that is wanted, and to others by a connection file. forget
// removes that file.
func register(ctx context.Context, sockets *wire.Sockets, path, runtime string) (forget func(), err error) {
	if sockets.Connection.Registration == nil {
		return func() {}, nil
	}
	if err := sockets.Register(ctx); err != nil {
		return nil, err
	}
	written, err := sockets.Connection.WriteFile(runtime, path)
	if err != nil {
		slog.Warn("other front ends will not find this kernel", "reason", err) // who started it has
		return func() {}, nil
	}
	return func() { os.Remove(written) }, nil
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
