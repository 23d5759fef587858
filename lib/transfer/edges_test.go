package transfer

import (
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// The mean of the classes' accuracies is over the classes that there are: scikit-learn's macro recall of these, bench/oracles/edges.py.
func TestPerClassIsOverTheClassesThatThereAre(t *testing.T) {
	ints := func(name string) (out []int) {
		for _, v := range oracle.Read[int64](t, "testdata/edges.npz", name) {
			out = append(out, int(v))
		}
		return out
	}
	r := &Result{Total: 6}
	if err := r.score(ints("predicted"), ints("labels"), 5); err != nil {
		t.Fatal(err)
	}
	if want := oracle.Read[float64](t, "testdata/edges.npz", "per_class")[0]; !approx.Equal(r.PerClass, want, 1e-12) || r.Right != 4 || !approx.Equal(r.Accuracy, 4./6, 1e-12) {
		t.Errorf("%+v, want %v per class", r, want)
	}
}
