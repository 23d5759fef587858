// Package command runs programs for cells, with the process's own output.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Command is a program to be run.
type Command struct {
	Dir   string // the empty one is the process's own
	Name  string
	Args  []string
	Stdin string
	// Ask gives the lines that the program reads, in place of Stdin, where it is not nil. ctx is cancelled when the
	// program has ended.
	Ask func(ctx context.Context) (string, error)
}

// Shell is the program that command lines are for.
func Shell() string {
	if _, err := exec.LookPath("bash"); err != nil {
		return "sh"
	}
	return "bash"
}

// Run runs the program until it has ended. When ctx is cancelled it ends it, and all that it has started.
func (c Command) Run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	cmd.Dir = c.Dir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if c.Stdin != "" {
		cmd.Stdin = strings.NewReader(c.Stdin)
	}
	if c.Ask != nil {
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		asks, cancel := context.WithCancel(ctx)
		defer cancel()
		go c.answer(asks, in)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		group := -cmd.Process.Pid
		syscall.Kill(group, syscall.SIGINT)
		time.AfterFunc(time.Second, func() { syscall.Kill(group, syscall.SIGKILL) })
		return nil
	}
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		// What a shell has put into the background does not hear the interrupt, and may be there when this process ends.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if errors.Is(err, context.Canceled) {
		return ctx.Err()
	}
	return err
}

// answer asks for lines and writes them to what the program reads, until ctx is cancelled.
func (c Command) answer(ctx context.Context, in io.WriteCloser) {
	defer in.Close()
	for ctx.Err() == nil {
		line, err := c.Ask(ctx)
		if err != nil {
			if ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, err)
			}
			return
		}
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			return
		}
	}
}
