package sweep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is where the sweeps of this user are kept, each in a folder of its name: $LOUPE_SWEEPS, or loupe/sweeps in the
// folder for a user's data ($XDG_DATA_HOME, ~/.local/share).
func Folder() (string, error) {
	if dir := os.Getenv("LOUPE_SWEEPS"); dir != "" {
		return filepath.Abs(dir)
	}
	base := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("sweep: there is no folder to keep sweeps in: %w; set LOUPE_SWEEPS to one", err)
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "loupe", "sweeps"), nil
}

// FolderOf is the folder of a sweep, which is made where there is none.
func FolderOf(name string) (string, error) {
	if err := CheckSweepName(name); err != nil {
		return "", err
	}
	base, err := Folder()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("sweep: %w", err)
	}
	return dir, nil
}

// Names are the names of the sweeps in [Folder], none where there is no such folder.
func Names() ([]string, error) {
	base, err := Folder()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(base)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(base, e.Name(), StoreFile)); err == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// StoreFile is the name of the store in a sweep's folder.
const StoreFile = "sweep.db"
