package gonb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

const library = "github.com/loupeml/loupe"

// prepare lets GoNB's cells import loupe's library and all that it is made of, in the versions that loupe was built
// with: what they need is then in the build cache.
func (c *child) prepare(ctx context.Context, source string) error {
	if err := c.silently(ctx, "%noautoget\n%goflags -mod=mod"); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(c.dir, "gonb_*", "go.mod"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("gonb: GoNB's module is not where it was in version 0.11.4: %v", files)
	}
	theirs, err := read(files[0])
	if err != nil {
		return err
	}
	ours, err := read(filepath.Join(source, "go.mod"))
	if err != nil {
		return err
	}
	for _, t := range ours.Tool {
		ours.DropTool(t.Path)
	}
	if err := ours.AddModuleStmt(theirs.Module.Mod.Path); err != nil {
		return err
	}
	if err := ours.AddRequire(library, "v0.0.0"); err != nil {
		return err
	}
	if err := ours.AddReplace(library, "", source, ""); err != nil {
		return err
	}
	ours.Cleanup()
	text, err := ours.Format()
	if err != nil {
		return err
	}
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(filepath.Dir(files[0]), "go.sum"), sums, 0o600)
}

func read(file string) (*modfile.File, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("gonb: %w", err)
	}
	return modfile.Parse(file, text, nil)
}
