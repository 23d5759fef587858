package labels

import (
	"slices"
	"testing"

	"github.com/loupeml/loupe/internal/oracle"
)

// A probability that falls short of its class's threshold by less than cleanlab's tolerance counts as reaching it:
// bench/oracles/edges.py has one just within and one beyond.
func TestAProbabilityJustBelowItsThresholdCountsAsCleanlabCountsIt(t *testing.T) {
	const file = "testdata/edges.npz"
	p, err := Float64s(oracle.Read[float64](t, file, "p"), 3)
	if err != nil {
		t.Fatal(err)
	}
	joint, err := EstimateJoint(p, ints(oracle.Read[int64](t, file, "given")))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := flat(joint.Counts), ints(oracle.Read[int64](t, file, "counts")); !slices.Equal(got, want) {
		t.Errorf("the joint is %v, want %v", got, want)
	}
}
