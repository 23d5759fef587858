// Package xlaplugin gets the XLA plugin through go-xla's own installer. It does not load any.
package xlaplugin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomlx/go-xla/installer"
)

// Patience is how long the place that go-xla's installer downloads from may take to answer.
const Patience = 20 * time.Second

// InstallCPU installs the CPU plugin into go-xla's folder under the user's home.
func InstallCPU(ctx context.Context) error {
	err := answers(ctx, func() error {
		_, err := installer.GitHubGetVersions(installer.BinaryCPUReleasesRepo)
		return err
	})
	if err != nil {
		return err
	}
	folder, err := home()
	if err != nil {
		return err
	}
	return short(installer.CPUAutoInstall(folder, true, installer.Quiet))
}

// HasGPU tells whether there is an NVIDIA GPU that XLA could use.
func HasGPU() bool { return installer.HasNvidiaGPU() }

// InstallCUDA installs the CUDA plugin and NVIDIA's libraries into go-xla's folder under the user's home.
func InstallCUDA(ctx context.Context) error {
	folder, err := home()
	if err != nil {
		return err
	}
	return installCUDA(ctx, folder)
}

// home is the folder in which go-xla looks for plugins.
func home() (string, error) {
	lib, err := installer.DefaultHomeLibPath()
	if err != nil {
		return "", short(err)
	}
	folder := filepath.Join(lib, "go-xla")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("xlaplugin: %w", err)
	}
	return folder, nil
}

// answers runs a small request of the installer's and gives up on it after Patience. The installer knows
// no contexts, so what does not answer is left behind.
func answers(ctx context.Context, request func() error) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- request() }()
	select {
	case err := <-done:
		return short(err)
	case <-ctx.Done():
		return fmt.Errorf("xlaplugin: no answer within %v", Patience)
	}
}

// short keeps the first line of an error: the installer's go on with a stack trace.
func short(err error) error {
	if err == nil {
		return nil
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("xlaplugin: %s", line)
}
