package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/loupeml/loupe/internal/cli/kernelspec"
)

// place is where the flags of install and uninstall say that Jupyter looks.
type place struct {
	user, sysPrefix bool
	prefix          string
}

func (p *place) flags(c *cobra.Command) {
	c.Flags().BoolVar(&p.user, "user", false, "the user's Jupyter data folder (the default)")
	c.Flags().StringVar(&p.prefix, "prefix", "", "PREFIX/share/jupyter")
	c.Flags().BoolVar(&p.sysPrefix, "sys-prefix", false, "the Python environment in use")
	c.MarkFlagsMutuallyExclusive("user", "prefix", "sys-prefix")
}

func (p *place) data() (string, error) {
	prefix := p.prefix
	if p.sysPrefix {
		var err error
		if prefix, err = kernelspec.SysPrefix(); err != nil {
			return "", err
		}
	}
	if prefix != "" {
		return kernelspec.PrefixData(prefix)
	}
	return kernelspec.UserData()
}

func installCommand() *cobra.Command {
	var where place
	var noShell bool
	c := &cobra.Command{
		Use: "install", Short: "Tell Jupyter about the kernel (Jupyter itself may come later)", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			data, err := where.data()
			if err != nil {
				return err
			}
			binary, err := os.Executable()
			if err == nil {
				binary, err = filepath.EvalSymlinks(binary)
			}
			if err != nil {
				return err
			}
			spec := kernelspec.New(binary)
			if noShell {
				spec.Argv = append(spec.Argv, "--no-shell")
			}
			dir, err := kernelspec.Install(data, spec)
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "Jupyter's kernel %q is in %s and runs %s\n", kernelspec.DisplayName, dir, binary)
				if _, err := kernelspec.InstallTemplate(data); err != nil {
					fmt.Fprintln(c.ErrOrStderr(), "loupe:", err) // the kernel itself is there
				}
			}
			return err
		},
	}
	where.flags(c)
	c.Flags().BoolVar(&noShell, "no-shell", false, "the kernel runs no commands of the shell by ! and %%bash")
	return c
}

func uninstallCommand() *cobra.Command {
	var where place
	c := &cobra.Command{
		Use: "uninstall", Short: "Take the kernel out of Jupyter's list", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			data, err := where.data()
			if err != nil {
				return err
			}
			dir, err := kernelspec.Uninstall(data)
			if err != nil {
				return err
			}
			if dir == "" {
				fmt.Fprintf(c.OutOrStdout(), "there is no kernel of loupe's in %s\n", filepath.Join(data, "kernels"))
			} else {
				fmt.Fprintf(c.OutOrStdout(), "removed %s\n", dir)
			}
			return nil
		},
	}
	where.flags(c)
	return c
}
