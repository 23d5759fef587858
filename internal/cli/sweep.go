package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loupeml/loupe/internal/sweeping"
)

func sweepCommand() *cobra.Command {
	var ask sweeping.Sweep
	c := &cobra.Command{
		Use: "sweep NAME", Short: "Run models under conditions, on this machine or on many",
		Long: `Run a grid of models x conditions x methods. A cell is one model under one condition by one method. The command
hands the cells out to workers, over NATS JetStream; the server for it is within the command, and one worker is
started beside it. What each model said of each picture is kept in an SQLite file, or in PostgreSQL. Ctrl-C, a crash
or a power cut loses nothing that is done: the same command goes on with the cells that are missing or failed. Models,
data and methods that it names besides join the grid. In a notebook, loupe.Sweep("NAME") shows how far it is, the
table and the scatter.

A model is a file, or the name of one that loupe fetches; data are a folder, an archive, or the name of a dataset. Each
corruption makes a condition of all data that are named with it, at each of its severities; none is the data as they
are. More can be said in a --plan; docs/sweeps.md tells which, and how workers on other machines take part.

The exit status is 0; 1 if cells were set aside after all their tries; 2 for a command line that means nothing; 3 if
the sweep cannot be run; 130 after Ctrl-C.`,
		Example: "  loupe sweep first --model efficientnet-lite0 --data sample-imagenet --corruption none --corruption fog:1,3,5\n" +
			"  loupe sweep first --status                                    # how far it is; runs nothing\n" +
			"  loupe sweep first --model squeezenet                          # one more model, under the same conditions\n" +
			"  loupe sweep first --model my=net.onnx --normalisation imagenet  # one of your own, called my\n" +
			"  loupe sweep first --listen 0.0.0.0:4222                       # workers on other machines may come\n" +
			"  loupe sweep first --correct sample-imagenet=labels.csv        # other labels; no model is asked again\n" +
			"  loupe sweep first --csv top1s.csv",
		Args: func(_ *cobra.Command, args []string) error {
			if ask.List && len(args) == 0 {
				return nil
			}
			if len(args) != 1 {
				return usageError{fmt.Errorf("a sweep takes a name, such as `loupe sweep first --model efficientnet-lite0 "+
					"--data sample-imagenet`, not %d words", len(args))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				ask.Name = args[0]
			}
			ask.TLSCert, ask.TLSKey = ask.Server.Cert, ask.Server.Key // of the server within, with --listen
			if err := checkSweep(ask); err != nil {
				return usageError{err}
			}
			err := becomeWorker(sweeping.SweepFlag, ask)
			fmt.Fprintln(os.Stderr, "loupe:", err)
			return exitStatus(sweeping.Failed)
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := c.Flags()
	f.SortFlags = false
	f.StringArrayVar(&ask.Models, "model", nil, "a model: a `[NAME=]FILE`, or the name of one that loupe fetches; this and "+
		"the next three may be said several times")
	f.StringArrayVar(&ask.Data, "data", nil, "pictures with labels: a `[NAME=]PATH`, or the name of a dataset")
	f.StringArrayVar(&ask.Corruptions, "corruption", nil, "how --data are changed: a `NAME[:SEVERITIES]` such as fog:1,3,5, "+
		"a family such as noise, all, or none")
	f.StringArrayVar(&ask.Methods, "method", nil, "`METHOD` is predictions, which is meant if none is said, or "+
		"faithfulness:Grad-CAM and others")
	f.StringVar(&ask.Plan, "plan", "", "a JSON `FILE` that says all this, and more")
	f.StringVar(&ask.Normalisation, "normalisation", "", "of the models named here: `HOW` is imagenet, half or none")
	f.StringVar(&ask.Classes, "classes", "", "of the models named here: a `FILE` with the names of their classes")
	f.StringVar(&ask.Type, "type", "", "of the models named here: the `WORDS` for their training, for plots")
	f.StringVar(&ask.Split, "split", "", "of the data named here: the `PART` that is read, such as val")
	f.StringVar(&ask.Labels, "labels", "", "of the data named here: a `FILE` with a table of labels")
	f.BoolVar(&ask.Partial, "partial", false, "with --labels: allow images without a label, and labels without an image")
	f.BoolVar(&ask.Skip, "skip-damaged", false, "leave damaged images out, where they are an error otherwise")
	f.StringVar(&ask.Among, "among", "", "of the data named here: `WHICH` classes of ImageNet count, the 200 of imagenet-a or "+
		"of imagenet-r")
	f.Uint64Var(&ask.Seed, "seed", 0, "a `NUMBER` that decides what chance decides in corruptions")
	f.StringVar(&ask.Store, "store", "", "`WHERE` results are kept: an SQLite file, or postgres://user@host/database "+
		"(loupe/sweeps/NAME/sweep.db in your data folder)")
	f.IntVar(&ask.Workers, "workers", -1, "how many workers are started here (1, or 0 with --nats)")
	f.Lookup("workers").DefValue = "0" // help names no -1
	f.IntVar(&ask.Tries, "tries", 3, "how often a cell is tried before it is set aside")
	f.DurationVar(&ask.Lease, "lease", 30*time.Second, "after what silence of its worker a cell goes to another one")
	f.StringVar(&ask.Listen, "listen", "", "`HOST:PORT` that workers on other machines come to, with a key and TLS")
	f.StringVar(&ask.Server.URL, "nats", "", "the `URL` of a NATS server with JetStream, in place of the one within")
	f.IntVar(&ask.Replicas, "replicas", 1, "with --nats: on how many servers of a cluster cells and results are kept")
	connectionFlags(f, &ask.Server)
	f.BoolVar(&ask.Status, "status", false, "say how far the sweep is, and run nothing")
	f.BoolVar(&ask.List, "list", false, "say which sweeps there are")
	f.StringVar(&ask.CSV, "csv", "", "write accuracies to a `FILE` as the testbed of Taori et al. does: a row for each model, "+
		"in percent")
	f.StringArrayVar(&ask.Correct, "correct", nil, "`DATA=FILE`: take other labels from a table with a column of files and one "+
		"of classes")
	f.StringArrayVar(&ask.ForgetModel, "forget-model", nil, "take the model `NAME` and what it gave out of the sweep")
	f.StringArrayVar(&ask.ForgetCondition, "forget-condition", nil, "take the condition `NAME` out of the sweep")
	f.StringArrayVar(&ask.ForgetData, "forget-data", nil, "take the data `NAME` and their conditions out of the sweep")
	return c
}

func connectionFlags(f *pflag.FlagSet, at *sweeping.Connection) {
	f.StringVar(&at.Creds, "creds", "", "sign in with a credentials `FILE` of NATS")
	f.StringVar(&at.NKey, "nkey", "", "sign in with the key in a `FILE`, such as worker.nk")
	f.StringVar(&at.CA, "tls-ca", "", "a `FILE` with what the server's certificate is signed by, such as ca.pem")
	f.StringVar(&at.Cert, "tls-cert", "", "a `FILE` with a certificate of one's own")
	f.StringVar(&at.Key, "tls-key", "", "a `FILE` with its key")
}

// checkSweep returns an error for a command line that means nothing.
func checkSweep(ask sweeping.Sweep) error {
	if ask.List && ask.Name != "" {
		return errors.New("--list is of all sweeps and takes no name; --status is of one")
	}
	adds := ask.Plan != "" || len(ask.Models)+len(ask.Data)+len(ask.Corruptions)+len(ask.Methods) > 0
	looks := 0
	if ask.Seed != 0 && len(ask.Corruptions) == 0 {
		return errors.New("--seed is of corruptions, and there is no --corruption")
	}
	for _, is := range []bool{ask.Status, ask.CSV != "", len(ask.Correct) > 0,
		len(ask.ForgetModel)+len(ask.ForgetCondition)+len(ask.ForgetData) > 0} {
		if is {
			looks++
		}
	}
	switch {
	case looks > 1:
		return errors.New("--status, --csv, --correct and --forget-… are said one at a time")
	case looks > 0 && adds:
		return errors.New("--status, --csv, --correct and --forget-… run nothing: say what joins the sweep apart")
	case len(ask.Models) == 0 && (ask.Normalisation != "" || ask.Classes != "" || ask.Type != ""):
		return errors.New("--normalisation, --classes and --type are of models, and there is no --model")
	case len(ask.Data) == 0 && (ask.Split != "" || ask.Labels != "" || ask.Partial || ask.Skip):
		return errors.New("--split, --labels, --partial and --skip-damaged are of data, and there is no --data")
	case ask.Partial && ask.Labels == "":
		return errors.New("--partial is about --labels, which names no file")
	case ask.Listen != "" && ask.Server.URL != "":
		return errors.New("--listen is of the server within, and --nats names another one")
	case ask.Server.URL == "" && (ask.Server.Creds != "" || ask.Server.NKey != "" || ask.Server.CA != ""):
		return errors.New("--creds, --nkey and --tls-ca are for the server that --nats names")
	case ask.Server.URL == "" && ask.Listen == "" && ask.Server.Cert+ask.Server.Key != "":
		return errors.New("--tls-cert and --tls-key are for --listen or --nats")
	case (ask.Server.Cert == "") != (ask.Server.Key == ""):
		return errors.New("--tls-cert and --tls-key go together: a certificate, and its key")
	case ask.Server.URL == "" && ask.Replicas != 1:
		return errors.New("--replicas is for a cluster, which --nats names")
	case ask.Tries < 1 || ask.Lease < time.Second || ask.Replicas < 1:
		return fmt.Errorf("%d tries, a lease of %v and %d replicas: at least 1, 1s and 1", ask.Tries, ask.Lease, ask.Replicas)
	case ask.Workers < -1 || ask.Workers > 1024:
		return fmt.Errorf("%d workers: 0 to 1024", ask.Workers)
	}
	return nil
}
