package jobs

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/loupeml/loupe/lib/sweep"
)

// A cell that takes several leases stays with its worker as long as that one computes: no cell is tried twice.
func TestACellAtWorkIsNotHandedOutAgain(t *testing.T) {
	p := grid(t, 1, 2, "crawling")
	s := newSetting(t)
	s.lease = time.Second
	planned(t, s.store, p)
	coordinator := start(t, s, "coordinator")
	start(t, s, "worker-1")
	start(t, s, "worker-2")
	if err := ended(t, coordinator, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, c := range cells(t, s.store) {
		if c.State != sweep.Done || c.Tries != 1 {
			t.Errorf("%s is %s after %d tries", c.Key, c.State, c.Tries)
		}
	}
}

// A worker stays with the model that it has loaded as long as there are cells of it: it changes the model no more often
// than there are models.
func TestAWorkerStaysWithItsModel(t *testing.T) {
	const models = 3
	p := grid(t, models, 16, "slow")
	s := newSetting(t)
	planned(t, s.store, p)
	server, err := StartServer(s.folder, Listen{Address: s.address})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	store, err := sweep.OpenStore(s.store)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	conn, _, err := server.Connection().dial(ctx, "test", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var lock sync.Mutex
	seen := map[string][]string{} // the models of a worker's cells, in order
	_, err = conn.Subscribe(subjects{"test"}.worker(), func(m *nats.Msg) {
		var state workerState
		if json.Unmarshal(m.Data, &state) != nil || state.Doing == "" {
			return
		}
		name, _, _ := strings.Cut(state.Doing, " under ")
		lock.Lock()
		defer lock.Unlock()
		if of := seen[state.Worker]; len(of) == 0 || of[len(of)-1] != name {
			seen[state.Worker] = append(of, name)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, s, "worker-1")
	start(t, s, "worker-2")
	err = Coordinator{Store: store, Sweep: "test", Version: "test", Lease: 30 * time.Second, Tries: 3}.Run(ctx,
		server.Connection())
	if err != nil {
		t.Fatal(err)
	}
	lock.Lock()
	defer lock.Unlock()
	if len(seen) == 0 {
		t.Error("no worker said what it does")
	}
	for name, of := range seen {
		if len(of) > models {
			t.Errorf("worker %s went from model to model as %v", name, of)
		}
	}
}
