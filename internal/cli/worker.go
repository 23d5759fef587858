package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/loupeml/loupe/internal/sweeping"
)

func workerCommand() *cobra.Command {
	var ask sweeping.Worker
	c := &cobra.Command{
		Use: "worker URL", Short: "Compute cells of the sweeps on a NATS server",
		Long: `Compute cells of the sweeps on a NATS server, until Ctrl-C. The cell under way then goes to another worker. Models and
data that are not on this machine come from the machine of the sweep. Any number of workers may run anywhere; each
stays with the model that it has loaded as long as there are cells of it. A worker that finds no server waits for one,
and one that is refused says why and ends. docs/sweeps.md has it step by step.`,
		Example: "  loupe worker tls://10.0.0.1:4222 --nkey worker.nk --tls-ca ca.pem   # as `loupe sweep --listen` says\n" +
			"  loupe worker tls://n1:4222,tls://n2:4222 --creds me.creds --sweep first   # a cluster, and one sweep alone",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("a worker takes the address of a server, such as `loupe worker "+
					"tls://10.0.0.1:4222`, not %d words", len(args))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			ask.Server.URL = args[0]
			if ask.Keep < 1 {
				return usageError{fmt.Errorf("--keep %d: at least one model stays loaded", ask.Keep)}
			}
			err := becomeWorker(sweeping.WorkerFlag, ask)
			fmt.Fprintln(os.Stderr, "loupe:", err)
			return exitStatus(sweeping.Failed)
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := c.Flags()
	connectionFlags(f, &ask.Server)
	f.StringVar(&ask.Sweep, "sweep", "", "take part in the sweep `NAME` alone")
	f.StringVar(&ask.Name, "name", "", "`NAME` of the worker (the machine's name and the process's number)")
	f.IntVar(&ask.Keep, "keep", 2, "how many models stay loaded")
	return c
}
