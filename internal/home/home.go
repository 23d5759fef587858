// Package home lets loupe, and the go command that it calls, work where there is no home folder, or one that cannot be
// written.
package home

import (
	"os"
	"os/user"
	"path/filepath"

	"github.com/loupeml/loupe/internal/scratch"
)

// Mend sets variables of the environment, for this process and those that it starts. What is set to something of use
// stays. HOME that is not set, or names no folder, becomes the user's home as the system knows it. Go's build cache and
// loupe's own cache, where they could not be written, are looked for in that home as well, and go to the folder for
// temporary files in the end.
func Mend() {
	known := ""
	if u, err := user.Current(); err == nil && isFolder(u.HomeDir) {
		known = u.HomeDir
	}
	if !isFolder(os.Getenv("HOME")) && known != "" {
		os.Setenv("HOME", known)
	}
	if os.Getenv("GOCACHE") == "" {
		use("GOCACHE", "go-build", known)
	}
	if os.Getenv("LOUPE_CACHE") == "" && !isFolder(filepath.Join(cache(), "loupe")) {
		use("LOUPE_CACHE", "loupe", known)
	}
	modules := filepath.Join("go", "pkg", "mod")
	if os.Getenv("GOMODCACHE") == "" && os.Getenv("GOPATH") == "" && !isFolder(filepath.Join(os.Getenv("HOME"), modules)) {
		if dir := filepath.Join(known, modules); known != "" && isFolder(dir) &&
			!scratch.Writable(filepath.Join(os.Getenv("HOME"), modules)) {
			os.Setenv("GOMODCACHE", dir)
		}
	}
}

// cache is the user's cache folder, "" where nothing says which it is.
func cache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return dir
}

// use sets a variable to a cache of a name that can be written, unless the one that is taken anyway can.
func use(variable, name, home string) {
	if base := cache(); base != "" && scratch.Writable(filepath.Join(base, name)) {
		return
	}
	if dir := filepath.Join(home, ".cache", name); home != "" && scratch.Writable(dir) {
		os.Setenv(variable, dir)
		return
	}
	if dir, err := scratch.Kept(name); err == nil {
		os.Setenv(variable, dir)
	}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return path != "" && err == nil && info.IsDir()
}
