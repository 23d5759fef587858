package xlaplugin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/loupeml/loupe/lib/assets"
)

// FoldersVariable names the folders of plugins in the environment, where a person has plugins of their own.
const FoldersVariable = "PJRT_PLUGIN_LIBRARY_PATH"

// Folders returns where plugins are looked for when [FoldersVariable] does not say: go-xla's own folders, and the
// assets xla-cuda and xla-cpu. The error is that the last of these is there and damaged.
func Folders() (folders []string, damaged error) {
	if home, err := os.UserHomeDir(); err == nil {
		base := filepath.Join(home, ".local", "lib", "go-xla")
		if runtime.GOOS == "darwin" {
			base = filepath.Join(home, "Library", "Application Support", "go-xla")
		}
		folders = append(folders, base, filepath.Join(base, "nvidia"))
	}
	folders = append(folders, "/usr/local/lib/go-xla", "/usr/local/lib/go-xla/nvidia")
	for _, asset := range []string{"xla-cuda", "xla-cpu"} {
		dir, err := assets.Path(asset)
		if err == nil {
			folders = append(folders, dir)
		} else if asset == "xla-cpu" && !errors.Is(err, fs.ErrNotExist) {
			damaged = err
		}
	}
	return folders, damaged
}

// Environment returns variables by which a program that uses go-xla itself, as a cell may, finds the plugin that loupe
// finds, and downloads none.
func Environment() []string {
	none := []string{"GOMLX_NO_AUTO_INSTALL=1"}
	if os.Getenv(FoldersVariable) != "" {
		return none
	}
	folders, _ := Folders()
	var there []string
	for _, dir := range folders {
		if _, err := os.Stat(dir); err == nil {
			there = append(there, dir)
		}
	}
	if len(there) == 0 {
		return nil
	}
	return append(none, FoldersVariable+"="+strings.Join(there, string(filepath.ListSeparator)))
}
