package jobs

import (
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
)

// The coordinator, whose process has the server, and the workers are killed at random moments, and others take their
// places. At the end the table is that of one process to the bit: nothing is lost, nothing is counted twice.
func TestKilledAtRandomMoments(t *testing.T) {
	kills, models, conditions := 6, 2, 6
	if testenv.IsHeavy() {
		kills, models, conditions = 50, 4, 200
	}
	p := grid(t, models, conditions, "predictions", "slow")
	want := alone(t, p)
	s := newSetting(t)
	planned(t, s.store, p)
	roles := []string{"coordinator", "worker-1", "worker-2", "worker-3"}
	running := map[string]*exec.Cmd{}
	for _, role := range roles {
		running[role] = start(t, s, role)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for kill := range kills {
		time.Sleep(100*time.Millisecond + time.Duration(r.Int64N(int64(900*time.Millisecond))))
		victim := roles[r.IntN(len(roles))]
		if kill == 0 {
			victim = roles[0] // at least once
		}
		running[victim].Process.Kill()
		err := running[victim].Wait()
		if victim == roles[0] && err == nil {
			t.Logf("all was done after %d kills", kill)
			same(t, rows(t, s.store), want)
			return
		}
		running[victim] = start(t, s, victim)
	}
	if err := ended(t, running["coordinator"], 3*time.Minute); err != nil {
		t.Error(err)
	}
	same(t, rows(t, s.store), want)
}
