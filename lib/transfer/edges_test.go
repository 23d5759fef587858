package transfer

import (
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// The mean of the classes' accuracies is over the classes that there are: scikit-learn's macro recall of these,
// bench/oracles/edges.py.
func TestPerClassIsOverTheClassesThatThereAre(t *testing.T) {
	ints := func(name string) (out []int) {
		for _, v := range oracle.Read[int64](t, "testdata/edges.npz", name) {
			out = append(out, int(v))
		}
		return out
	}
	got, want := perClass(ints("predicted"), ints("labels")), oracle.Read[float64](t, "testdata/edges.npz", "per_class")[0]
	if !approx.Equal(got, want, 1e-12) {
		t.Errorf("%v per class, want %v", got, want)
	}
}
