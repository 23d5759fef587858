package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/loupeml/loupe/lib/sweep"
)

// partVariable has, as JSON, what a process does that is not as the others of its test.
const partVariable = "SWEEP_PART"

// part is what a process of a test does: it is a server of NATS, a coordinator or a worker.
type part struct {
	Config string // of a server

	Store    string // of a coordinator
	Folder   string // of the server within
	Listen   string
	Lease    time.Duration
	Replicas int

	At      Connection
	Version string
	Cache   string
	Sweep   string
}

func playPart(ctx context.Context, role, raw string) error {
	var p part
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, role+": "+format+"\n", args...) }
	switch {
	case p.Config != "":
		options, err := natsserver.ProcessConfigFile(p.Config)
		if err != nil {
			return err
		}
		options.NoSigs = true
		server, err := natsserver.NewServer(options)
		if err != nil {
			return err
		}
		server.ConfigureLogger()
		server.Start()
		context.AfterFunc(ctx, server.Shutdown)
		server.WaitForShutdown()
		return nil
	case p.Store != "":
		store, err := sweep.OpenStore(p.Store)
		if err != nil {
			return err
		}
		defer store.Close()
		if p.Folder != "" {
			server, err := StartServer(p.Folder, Listen{Address: p.Listen})
			if err != nil {
				return err
			}
			defer server.Close()
			p.At = server.Connection()
		}
		return Coordinator{Store: store, Sweep: "test", Version: p.Version, Lease: p.Lease, Tries: 1000,
			Replicas: p.Replicas, Say: say}.Run(ctx, p.At)
	}
	return Worker{Name: role, Sweep: p.Sweep, Version: p.Version, Cache: p.Cache, Say: say}.Run(ctx, p.At)
}

// launch starts a process with a part, by a program and its arguments where these are given, such as ip netns exec.
func (s setting) launch(t *testing.T, role string, p part, by ...string) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, s, role, []string{partVariable + "=" + string(raw)}, by...)
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(2 * time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("after two minutes it is still not so that %s", what)
		}
	}
}

// doneBy is how many cells each worker has done.
func doneBy(t *testing.T, store string) map[string]int {
	t.Helper()
	s, err := sweep.OpenStore(store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cells, err := s.Cells("test")
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]int{}
	for _, c := range cells {
		by[c.Worker]++
		by[""]++
	}
	return by
}

// has tells whether a process has said something.
func (s setting) has(t *testing.T, role, text string) bool {
	t.Helper()
	return strings.Contains(said(t, s, role), text)
}
