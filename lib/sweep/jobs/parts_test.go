package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/loupeml/loupe/lib/sweep"
)

// partVariable has, as JSON, what a process does.
const partVariable = "SWEEP_PART"

// part is what a process of a test does: it is a server of NATS, a coordinator or a worker.
type part struct {
	Config string // of a server

	Store    string // of a coordinator
	Folder   string // of the server within
	Listen   string
	Lease    time.Duration
	Tries    int // 0 means 1000
	Replicas int

	At      Connection
	Version string
	Cache   string
	Sweep   string
	Await   bool // the files with the worker's key and the server's authority, which the coordinator makes when it starts
}

func play(ctx context.Context, role, raw string) error {
	var p part
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		return err
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, time.Now().Format("05.000 ")+role+": "+format+"\n", args...)
	}
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
		var within *Server
		if p.Folder != "" {
			if within, err = StartServer(p.Folder, Listen{Address: p.Listen}); err != nil {
				return err
			}
			defer within.Close()
			p.At = within.Connection()
		}
		return Coordinator{Store: store, Sweep: "test", Version: p.Version, Lease: p.Lease, Tries: cmp.Or(p.Tries, 1000),
			Replicas: p.Replicas, Within: within, Say: say}.Run(ctx, p.At)
	}
	for _, file := range []string{p.At.NKey, p.At.CA} {
		for p.Await {
			info, err := os.Stat(file)
			if err == nil && info.Size() > 0 || !sleep(ctx, 20*time.Millisecond) {
				break
			}
		}
	}
	return Worker{Name: role, Sweep: p.Sweep, Version: p.Version, Cache: p.Cache, Say: say}.Run(ctx, p.At)
}

// launch starts this test binary in a process with a part, by a program and its arguments where these are given, such
// as ip netns exec. What it says goes into a file that is shown if the test fails.
func (s setting) launch(t *testing.T, role string, p part, by ...string) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(s.folder, role+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	line := append(slices.Clone(by), self)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, partVariable+"="+string(raw))
	cmd.Stdout, cmd.Stderr = log, log
	if _, err := cmd.StdinPipe(); err != nil { // by whose end the process knows that the test has ended
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
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
	by := map[string]int{}
	for _, c := range cells(t, store) {
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
