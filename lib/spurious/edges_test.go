package spurious

import (
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// Spuriosity is the mean of SciPy's zscore over two features of eleven images of a class: bench/oracles/edges.py.
func TestSpuriosityIsTheMeanOfSciPysZScores(t *testing.T) {
	const file = "testdata/edges.npz"
	e := Examples{Features: mat.NewDense(11, 3, oracle.Read[float64](t, file, "features")), Labels: make([]int, 11)}
	r, err := Rank(e, 0, []int{0, 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(r.Images, oracle.Read[int64](t, file, "images"), 0); err != nil {
		t.Errorf("images: %v", err)
	}
	if err := approx.All(r.Scores, oracle.Read[float64](t, file, "scores"), 1e-12); err != nil {
		t.Errorf("scores: %v", err)
	}
}
