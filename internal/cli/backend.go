package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/loupeml/loupe/kernel/worker"
)

// backend is what loupe-worker says of the backend that it would run models on.
type backend struct {
	Name    string // "xla" or "go"
	Plugin  string // the plugin's file; empty without XLA
	API     string // version of the PJRT C API
	Devices []string
	Kernels string // who computes the gradients of convolutions by their kernels, and convolutions of few channels
	Error   string

	// Programs says what is kept of compiled programs.
	Programs struct {
		Folder       string
		Programs     int
		Bytes, Limit int64
		Hits         int // how often one was taken
		Saved        time.Duration
		Reason       string // why they are not kept
	}
}

// askWorker starts the backend in a process of its own, which a broken plugin may take down.
func askWorker(ctx context.Context) backend {
	path, err := worker.Find("")
	if err != nil {
		return backend{Error: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--doctor")
	cmd.Env = os.Environ()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	runErr := cmd.Run()
	var b backend
	if err := json.Unmarshal(out.Bytes(), &b); err == nil {
		return b
	}
	said := strings.TrimSpace(errs.String())
	if i := strings.IndexByte(said, '\n'); i >= 0 {
		said = said[:i]
	}
	switch {
	case ctx.Err() != nil:
		said = "it does not answer"
	case said == "" && runErr != nil:
		said = runErr.Error()
	}
	return backend{Error: fmt.Sprintf("the XLA plugin ends the process that loads it (%s): `loupe fetch xla-cpu` mends "+
		"the one in loupe's cache; one of your own is in PJRT_PLUGIN_LIBRARY_PATH or in go-xla's folders", said)}
}
