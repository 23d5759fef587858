// Package assets finds and fetches the real models and datasets that come with packages.
package assets

import (
	"fmt"
	"os"
	"path/filepath"
)

// Dir returns loupe's cache folder: LOUPE_CACHE, or "loupe" in the user's cache folder.
func Dir() (string, error) {
	if d := os.Getenv("LOUPE_CACHE"); d != "" {
		return filepath.Abs(d)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("assets: no cache folder: %w; set LOUPE_CACHE to a folder of your own", err)
	}
	return filepath.Join(base, "loupe"), nil
}

// Path returns the folder of an asset that has been fetched.
func Path(name string) (string, error) {
	base, err := Dir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "assets", name)
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("assets: %s is not here yet: get it with `loupe fetch %s`", name, name)
	}
	return dir, nil
}
