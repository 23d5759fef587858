package procs

import (
	"context"
	"os/exec"
	"syscall"
	"time"
)

// Command returns a command that ends, with all that it has started, when ctx is cancelled.
func Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for what holds its output open
	return cmd
}
