package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/loupeml/loupe/internal/atrest"
	"github.com/loupeml/loupe/internal/cli/kernelspec"
	"github.com/loupeml/loupe/internal/version"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/gonb"
	"github.com/loupeml/loupe/kernel/session"
	"github.com/loupeml/loupe/kernel/worker"
)

func kernelCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "kernel -f FILE", Short: "Be a Jupyter kernel on the connection that FILE describes", Args: cobra.NoArgs,
		Long: `Be a Jupyter kernel on the connection that FILE describes. Jupyter starts this itself, once ` +
			"`loupe install`" + ` has told it how.
FILE is a connection file, which names the kernel's ports, or a registration file, which names the port where the kernel
tells the ones that it has chosen.`,
		RunE: func(c *cobra.Command, _ []string) error {
			past, err := pastCells()
			if err != nil {
				fmt.Fprintln(os.Stderr, "loupe:", err)
			}
			folder, err := kernelspec.Runtime()
			if err != nil {
				return err
			}
			time.AfterFunc(atrest.After, atrest.Release)
			start := func(id string) (engine.Engine, error) { return startEngine("", cmp.Or(id, kernelID(file))) }
			// The command's context ends with SIGINT, which to a kernel means: interrupt the cell.
			return session.RunFile(context.WithoutCancel(c.Context()), file, folder, start, session.Options{
				Version: version.Version,
				History: past,
				Banner:  fmt.Sprintf("loupe %s, %s: why will this image classifier fail?", version.Version, runtime.Version()),
			})
		},
	}
	c.Flags().StringVarP(&file, "connection-file", "f", "", "the connection file, or the registration file")
	c.MarkFlagRequired("connection-file")
	shellFlag(c)
	return c
}

// shellFlag gives a command the flag that switches ! and %%bash off. The workers that it starts read the variable.
func shellFlag(c *cobra.Command) {
	var off bool
	c.Flags().BoolVar(&off, "no-shell", false, "cells run no commands by ! and %%bash (a Go program in a cell still can)")
	c.PreRunE = func(*cobra.Command, []string) error {
		if !off {
			return nil
		}
		return os.Setenv("LOUPE_NO_SHELL", "1")
	}
}

var kernelFile = regexp.MustCompile(`kernel-([0-9a-fA-F-]+)\.json$`)

// kernelID returns Jupyter's name for a kernel, which is in the name of its connection file; "" where it is not.
func kernelID(file string) string {
	if m := kernelFile.FindStringSubmatch(file); m != nil {
		return m[1]
	}
	return ""
}

// startEngine starts what evaluates cells. They run in the folder dir; empty means the current one.
func startEngine(dir, kernelID string) (engine.Engine, error) {
	return startEngineWith(worker.Options{Dir: dir}, kernelID)
}

// startScript is startEngine for what has the command's own standard input, unless that is a terminal, where only one
// can read.
func startScript(dir string) (engine.Engine, error) {
	options := worker.Options{Dir: dir}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		options.Stdin = os.Stdin
	}
	return startEngineWith(options, "")
}

func startEngineWith(options worker.Options, kernelID string) (engine.Engine, error) {
	w, err := worker.New(options)
	if err != nil {
		return nil, err // and not a nil *Worker in an interface
	}
	return gonb.New(w, gonb.Options{Dir: options.Dir, KernelID: kernelID}), nil
}
