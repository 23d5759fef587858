// Package kernelspec tells Jupyter about loupe: it writes the folder in which every Jupyter front end looks
// for a kernel's command and logo. No Jupyter has to be installed for that.
// https://jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs
package kernelspec

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/loupeml/loupe/kernel/wire"
)

// Name is the kernel's name, DisplayName what a person reads in a menu.
const (
	Name        = "loupe"
	DisplayName = "Go (loupe)"
)

//go:embed logo/logo-32x32.png logo/logo-64x64.png logo/logo-svg.svg
var logos embed.FS

// Spec is the content of kernel.json.
type Spec struct {
	Argv          []string `json:"argv"`
	DisplayName   string   `json:"display_name"`
	Language      string   `json:"language"`
	InterruptMode string   `json:"interrupt_mode"` // "message": the worker is not in reach of a signal
	// Protocol tells who starts the kernel, before it can be asked, that it may choose its ports itself.
	// https://jupyter.org/enhancement-proposals/66-jupyter-handshaking/jupyter-handshaking.html
	Protocol string            `json:"kernel_protocol_version"`
	Env      map[string]string `json:"env"`
	Metadata map[string]any    `json:"metadata"`
}

// kept are the variables that choose loupe's folders and backend. One that is set when the kernel is
// installed goes into its spec: a Jupyter that is started from a menu has no other way to know.
var kept = []string{"LOUPE_CACHE", "LOUPE_CONFIG", "LOUPE_BACKEND", "PJRT_PLUGIN_LIBRARY_PATH"}

// New returns the spec of a loupe binary.
func New(binary string) Spec {
	s := Spec{
		Argv:          []string{binary, "kernel", "-f", "{connection_file}"},
		DisplayName:   DisplayName,
		Language:      "go",
		InterruptMode: "message",
		Protocol:      wire.ProtocolVersion,
		Env:           map[string]string{},
		Metadata:      map[string]any{"debugger": false},
	}
	for _, name := range kept {
		if value := os.Getenv(name); value != "" {
			s.Env[name] = value
		}
	}
	return s
}

// UserData returns the user's Jupyter data folder: JUPYTER_DATA_DIR, or where Jupyter looks by default.
func UserData() (string, error) {
	if dir := os.Getenv("JUPYTER_DATA_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("kernelspec: no home folder: %w; set JUPYTER_DATA_DIR", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Jupyter"), nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "jupyter"), nil
	}
	return filepath.Join(home, ".local", "share", "jupyter"), nil
}

// Runtime returns the folder in which Jupyter looks for the connection files of kernels that run.
// https://docs.jupyter.org/en/latest/use/jupyter-directories.html#runtime-files
func Runtime() (string, error) {
	if dir := os.Getenv("JUPYTER_RUNTIME_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	data, err := UserData()
	return filepath.Join(data, "runtime"), err
}

// PrefixData returns the Jupyter data folder under a prefix, such as that of a Python environment.
func PrefixData(prefix string) (string, error) {
	prefix, err := filepath.Abs(prefix)
	return filepath.Join(prefix, "share", "jupyter"), err
}

// SysPrefix returns the prefix of the Python environment in use.
func SysPrefix() (string, error) {
	for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if dir := os.Getenv(name); dir != "" {
			return dir, nil
		}
	}
	for _, python := range []string{"python3", "python"} {
		if out, err := exec.Command(python, "-c", "import sys; print(sys.prefix)").Output(); err == nil {
			return strings.TrimSpace(string(out)), nil
		}
	}
	return "", errors.New(
		"kernelspec: no Python environment is active and no python3 is in PATH: name its folder with --prefix")
}

// Install writes the spec and the logos under a Jupyter data folder, in place of what an earlier install
// left, and returns the spec's folder.
func Install(data string, spec Spec) (string, error) {
	kernels := filepath.Join(data, "kernels")
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("kernelspec: %w; name a Jupyter data folder of your own in JUPYTER_DATA_DIR, or use --prefix",
			err)
	}
	if err := os.MkdirAll(kernels, 0o755); err != nil {
		return fail(err)
	}
	scratch, err := os.MkdirTemp(kernels, ".loupe-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(scratch)
	text, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return fail(err)
	}
	files := map[string][]byte{"kernel.json": append(text, '\n')}
	entries, err := logos.ReadDir("logo")
	if err != nil {
		return fail(err)
	}
	for _, e := range entries {
		if files[e.Name()], err = logos.ReadFile("logo/" + e.Name()); err != nil {
			return fail(err)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(scratch, name), content, 0o644); err != nil {
			return fail(err)
		}
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return fail(err)
	}
	dir := filepath.Join(kernels, Name)
	if err := os.RemoveAll(dir); err != nil {
		return fail(err)
	}
	if err := os.Rename(scratch, dir); err != nil {
		return fail(err)
	}
	return dir, nil
}

// Installed reads the spec under a Jupyter data folder. The error is fs.ErrNotExist where there is none.
func Installed(data string) (Spec, string, error) {
	dir := filepath.Join(data, "kernels", Name)
	text, err := os.ReadFile(filepath.Join(dir, "kernel.json"))
	if err != nil {
		return Spec{}, dir, err
	}
	var s Spec
	if err := json.Unmarshal(text, &s); err != nil {
		return Spec{}, dir, fmt.Errorf("kernelspec: %s: %w", dir, err)
	}
	return s, dir, nil
}

// Uninstall removes the spec under a Jupyter data folder, and the template; removed is the spec's folder, empty when
// there was none.
func Uninstall(data string) (removed string, err error) {
	if err := uninstallTemplate(data); err != nil {
		return "", err
	}
	dir := filepath.Join(data, "kernels", Name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("kernelspec: %w", err)
	}
	return dir, nil
}
