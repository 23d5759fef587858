package kernelspec

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Jupyter's "Export as executable script" and `jupyter nbconvert --to script` write the cells of a language without
// an exporter of its own one after another. A template beside the kernel parts them by lines // %%, so that loupe can
// run the script.

//go:embed nbconvert/null.j2
var template []byte

func templatePath(data string) string {
	return filepath.Join(data, "nbconvert", "templates", "script", "null.j2")
}

// ours reports whether a file is a template that loupe has written.
func ours(path string) (bool, error) {
	text, err := os.ReadFile(path)
	return bytes.Contains(text, []byte("Put here by loupe")), err
}

// InstallTemplate writes the template under a Jupyter data folder and returns its path. One that is not loupe's stays.
func InstallTemplate(data string) (string, error) {
	path := templatePath(data)
	if is, err := ours(path); err == nil && !is {
		return "", fmt.Errorf("kernelspec: %s is a template of yours: exported scripts stay without // %%%%", path)
	}
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, template, 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("kernelspec: %w", err)
	}
	return path, nil
}

// uninstallTemplate removes the template, and its folders where nothing else is in them.
func uninstallTemplate(data string) error {
	path := templatePath(data)
	is, err := ours(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !is {
		return nil
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("kernelspec: %w", err)
	}
	for dir := filepath.Dir(path); dir != data; dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break // something is in it
		}
	}
	return nil
}
