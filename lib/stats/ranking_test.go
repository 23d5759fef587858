package stats

import (
	"math"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// The oracle is scikit-learn, on scores with many ties: bench/oracles/spurious.py.
func TestRankingScoresAgreeWithScikitLearn(t *testing.T) {
	read := func(name string) []float64 { return oracle.Read[float64](t, "../spurious/testdata/resnet20.npz", name) }
	positive, negative := read("positive"), read("negative")
	auroc, err := AUROC(positive, negative)
	if want := read("auroc")[0]; err != nil || !approx.Equal(auroc, want, 1e-12) {
		t.Errorf("AUROC is %v, %v, want %v", auroc, err, want)
	}
	ap, err := AveragePrecision(positive, negative)
	if want := read("average_precision")[0]; err != nil || !approx.Equal(ap, want, 1e-12) {
		t.Errorf("AveragePrecision is %v, %v, want %v", ap, err, want)
	}
}

func TestRankingScoresAtTheEdges(t *testing.T) {
	for _, c := range []struct {
		positive, negative []float64
		auroc, ap          float64
	}{
		{[]float64{2, 3}, []float64{0, 1}, 1, 1},
		{[]float64{0}, []float64{1, 2, 3}, 0, 0.25},
		{[]float64{1, 1}, []float64{1, 1, 1, 1, 1, 1}, 0.5, 0.25},
	} {
		auroc, err1 := AUROC(c.positive, c.negative)
		ap, err2 := AveragePrecision(c.positive, c.negative)
		if err1 != nil || err2 != nil || auroc != c.auroc || ap != c.ap {
			t.Errorf("%v over %v: %v and %v, %v %v", c.positive, c.negative, auroc, ap, err1, err2)
		}
	}
	if _, err := AUROC(nil, []float64{1}); err == nil {
		t.Error("no positives are no error")
	}
	if _, err := AUROC([]float64{1}, nil); err == nil {
		t.Error("no negatives are no error")
	}
	if _, err := AveragePrecision([]float64{math.NaN()}, []float64{1}); err == nil {
		t.Error("a score that is no number is no error")
	}
}
