package learn

import (
	"testing"

	"github.com/loupeml/loupe/lib/backend"
)

// TestTrainingIsCompiledOnce trains the same network again and again: the program has the weights in one order, so
// that XLA compiles it no second time, in this process or another.
func TestTrainingIsCompiledOnce(t *testing.T) {
	images, labels := bars(32, 1)
	train := func() int {
		t.Helper()
		if _, _, err := (Recipe{Epochs: 1, BatchSize: 16, LearningRate: 0.01, Seed: 1}).Train(network(t, 1), images,
			labels); err != nil {
			t.Fatal(err)
		}
		info, err := backend.Describe()
		if err != nil {
			t.Fatal(err)
		}
		if info.Name != "xla" || info.Programs.Reason != "" {
			t.Skipf("skipped: needs XLA and its kept programs: %s", info.Programs.Reason)
		}
		return info.Programs.Compiled
	}
	first := train()
	for range 4 {
		if n := train(); n != first {
			t.Fatalf("training the same network again compiles %d more programs", n-first)
		}
	}
}
