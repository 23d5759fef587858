// Package cli is the command line of the loupe binary, one file a command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/loupeml/loupe/internal/home"
	"github.com/loupeml/loupe/internal/version"
)

// Main runs a command line and returns the exit status.
func Main(args []string) int {
	home.Mend()
	root := &cobra.Command{
		Use:           "loupe",
		Short:         "A Jupyter kernel for Go, for finding out why an image classifier will fail",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	scripts(root)
	root.AddCommand(kernelCommand(), replCommand(), runCommand(), reportCommand(), sweepCommand(),
		workerCommand(), testCommand(), convertCommand(),
		installCommand(), uninstallCommand(), fetchCommand(), pluginCommand(), doctorCommand(), versionCommand())
	root.SetArgs(args)
	// The first Ctrl-C ends a command in order, the second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	defer stop()
	err := root.ExecuteContext(ctx)
	var said alreadySaid
	var status exitStatus
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "loupe:", err)
		return 2
	case errors.As(err, &said):
		return 1
	}
	fmt.Fprintln(os.Stderr, "loupe:", err)
	return 1
}

// alreadySaid is a failure that the command has told in its own words.
type alreadySaid struct{ error }

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the versions of loupe and of Go", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintf(c.OutOrStdout(), "loupe %s, %s, %s/%s\n", version.Version, runtime.Version(), runtime.GOOS,
				runtime.GOARCH)
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, d := range info.Deps {
					if d.Path == "github.com/gomlx/go-xla" {
						fmt.Fprintf(c.OutOrStdout(), "go-xla %s\n", d.Version)
					}
				}
			}
		},
	}
}
