package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loupeml/loupe/internal/xlaplugin"
	"github.com/loupeml/loupe/lib/assets"
)

func pluginCommand() *cobra.Command {
	var cuda bool
	c := &cobra.Command{
		Use: "plugin", Short: "Get the XLA plugin that models run on, unless one is there", Args: cobra.NoArgs,
		Long: `Get the XLA plugin that models run on. The first that works is taken:

  1. one that is there: in a folder of PJRT_PLUGIN_LIBRARY_PATH, in go-xla's own folders, in loupe's cache
  2. go-xla's own installer
  3. loupe fetch xla-cpu

Where there is an NVIDIA GPU, or with --cuda, go-xla's installer gets the CUDA plugin as well.`,
		RunE: func(c *cobra.Command, _ []string) error { return getPlugin(c.Context(), cuda) },
	}
	c.Flags().BoolVar(&cuda, "cuda", false, "get the CUDA plugin even where no GPU is seen; fail where it cannot be had")
	return c
}

func getPlugin(ctx context.Context, cuda bool) error {
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	os.Unsetenv("LOUPE_BACKEND") // the question is what is there, not what is asked for
	if _, err := assets.Path("xla-cpu"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		say("%v", err)
		if _, err := fetchWithBar(ctx, "xla-cpu"); err != nil {
			return err
		}
	}
	now := askWorker(ctx)
	if now.Error != "" {
		return errors.New(now.Error)
	}
	if (cuda || xlaplugin.HasGPU()) && !now.cuda() {
		say("getting the CUDA plugin (a few GB) …")
		if err := xlaplugin.InstallCUDA(ctx); err != nil {
			sentence := fmt.Sprintf("the CUDA plugin cannot be had (%v): put pjrt_c_api_cuda_plugin.so of the Python package "+
				"jax-cuda13-pjrt, with NVIDIA's libraries, into a folder that PJRT_PLUGIN_LIBRARY_PATH names", err)
			if cuda {
				return errors.New(sentence)
			}
			say("loupe: %s; going on with the CPU", sentence)
		} else if now = askWorker(ctx); now.Error != "" {
			return errors.New(now.Error)
		}
	}
	if now.Plugin != "" {
		say("the XLA plugin is %s, PJRT API %s", now.Plugin, now.API)
		return nil
	}
	if err := xlaplugin.InstallCPU(ctx); err != nil {
		say("go-xla's own installer does not get the plugin (%s); taking the Python package",
			strings.TrimPrefix(err.Error(), "xlaplugin: "))
		if _, err := fetchWithBar(ctx, "xla-cpu"); err != nil {
			return err
		}
	}
	now = askWorker(ctx)
	if now.Error != "" {
		return errors.New(now.Error)
	}
	if now.Plugin == "" {
		return errors.New(
			"the XLA plugin was downloaded and loupe-worker does not find it: `loupe doctor` shows where it looks")
	}
	say("the XLA plugin is %s, PJRT API %s", now.Plugin, now.API)
	return nil
}

func (b backend) cuda() bool { return strings.Contains(filepath.Base(b.Plugin), "cuda") }
