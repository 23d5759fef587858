package jobs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/loupeml/loupe/lib/sweep"
)

// Cells that panic, that end their process, and those of a model that does not load are set aside after their tries,
// each with its error; the others are done.
func TestPoisonIsSetAside(t *testing.T) {
	p := grid(t, 1, 2, "nothing", "panics", "dies")
	broken := filepath.Join(t.TempDir(), "broken.onnx")
	if err := os.WriteFile(broken, []byte("no network"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Models = append(p.Models, sweep.Model{Name: "broken", File: broken})
	s := newSetting(t)
	s.lease, s.tries = time.Second, 2
	planned(t, s.store, p)
	coordinator := start(t, s, "coordinator")
	stop := make(chan struct{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			worker := start(t, s, "worker-1")
			ended := make(chan struct{})
			go func() { worker.Wait(); close(ended) }()
			select {
			case <-stop:
				worker.Process.Kill()
				<-ended
				return
			case <-ended: // the cell has ended the process: another worker takes its place
			}
		}
	}()
	err := ended(t, coordinator, 2*time.Minute)
	close(stop)
	<-gone
	if err != nil {
		t.Fatal(err)
	}
	all := cells(t, s.store)
	if len(all) != 12 {
		t.Errorf("%d cells have ended, of 12", len(all))
	}
	for _, c := range all {
		state, why := sweep.Failed, ""
		switch {
		case c.Model == "broken":
			why = "the model broken does not load"
		case c.Method == "panics":
			why = "it panicked: no good"
		case c.Method == "dies":
			why = "its worker fell silent 2 times"
		default:
			state = sweep.Done
		}
		if c.State != state || !strings.Contains(c.Error, why) {
			t.Errorf("%s is %s: %s", c.Key, c.State, c.Error)
		}
		if c.State == sweep.Failed && c.Tries != 2 {
			t.Errorf("%s was tried %d times", c.Key, c.Tries)
		}
		if strings.Contains(c.Error, "\n") {
			t.Errorf("the error of %s is of more than one line: %q", c.Key, c.Error)
		}
	}
	if n := len(grid(t, 1, 2, "nothing").Conditions); done(t, s.store) != n {
		t.Errorf("%d cells are done, of %d", done(t, s.store), n)
	}
}

// A result that comes twice, whole or with parts of two attempts mixed, counts once; one of a cell that no one asked
// for does not count, nor do messages that make no sense.
func TestResultsThatComeTwice(t *testing.T) {
	p := grid(t, 1, 4, "nothing")
	want := alone(t, p)
	s := newSetting(t)
	planned(t, s.store, p)
	server, err := StartServer(s.folder, Listen{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	store, err := sweep.OpenStore(s.store)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	over := make(chan error, 1)
	go func() {
		over <- Coordinator{Store: store, Sweep: "test", Version: "test", Lease: time.Second, Tries: 3, Say: t.Logf}.Run(ctx,
			server.Connection())
	}()
	conn, _, err := server.Connection().dial(ctx, "test", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	var stream jetstream.Stream
	for ctx.Err() == nil {
		if stream, err = js.Stream(ctx, subjects{"test"}.resultStream()); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if stream == nil {
		t.Fatal(err)
	}
	send := func(j sweep.Job, attempt string, part, parts string, body []byte) {
		m := nats.NewMsg(subjects{"test"}.result(j.Token()))
		m.Data = body
		for key, value := range map[string]string{tokenHeader: j.Token(), stateHeader: sweep.Done, workerHeader: "w",
			secondsHeader: "1", triesHeader: "1", attemptHeader: attempt, partHeader: part, partsHeader: parts} {
			m.Header.Set(key, value)
		}
		if _, err := js.PublishMsg(ctx, m); err != nil && !strings.Contains(err.Error(), "no response from stream") {
			t.Error(err)
		}
	}
	n := 0
	computed(t, store, func(j sweep.Job, raw []byte) {
		if n++; n == 1 {
			other := j
			other.Method = "predictions" // which is not asked for
			send(other, "x", "0", "1", raw)
			for _, one := range []string{"", "-1", "7", "x"} {
				send(j, "y", one, "2", raw)
			}
			send(j, "z", "0", "99999999", raw)
		}
		send(j, "first", "0", "2", raw[:10])
		send(j, "second", "1", "2", raw[10:])
		send(j, "second", "1", "3", raw[10:])
		send(j, "first", "1", "2", raw[10:])
		send(j, "second", "0", "2", raw[:10])
		send(j, "first", "1", "2", raw[10:])
	})
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	same(t, rows(t, s.store), want)
}
