package stats

import (
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// edges are the figures of bench/oracles/edges.py.
func edges(t *testing.T, name string) []float64 {
	t.Helper()
	return oracle.Read[float64](t, "testdata/edges.npz", name)
}

// scikit-learn's roc_curve; of 20 positives 19 are a recall of just 0.95.
func TestFalsePositiveRatesAgreeWithScikitLearn(t *testing.T) {
	want := edges(t, "fpr")
	for i, recall := range edges(t, "recalls") {
		if got, err := FalsePositiveRate(edges(t, "positive"), edges(t, "negative"), recall); err != nil || !approx.Equal(got, want[i], 1e-12) {
			t.Errorf("at the recall %v it is %v (%v), want %v", recall, got, err, want[i])
		}
	}
}

func TestMeanIntervalsAgreeWithSciPy(t *testing.T) {
	values, want := edges(t, "values"), edges(t, "t_intervals")
	for _, n := range []int{2, 3, 12} {
		for _, alpha := range []float64{0.05, 0.32} {
			_, iv, err := MeanInterval(values[:n], alpha)
			if err != nil || !approx.Equal(iv.Low, want[0], 1e-9) || !approx.Equal(iv.High, want[1], 1e-9) {
				t.Errorf("of %d values at alpha %v: %v (%v), want %v", n, alpha, iv, err, want[:2])
			}
			want = want[2:]
		}
	}
}

func TestPearsonsIntervalsAgreeWithSciPy(t *testing.T) {
	x, y, want := edges(t, "x"), edges(t, "y"), edges(t, "pearson")
	for _, n := range []int{4, 9} {
		for _, alpha := range []float64{0.05, 0.32} {
			r, iv, err := Pearson(x[:n], y[:n], alpha)
			if got := []float64{r, iv.Low, iv.High}; err != nil || approx.All(got, want[:3], 1e-12) != nil {
				t.Errorf("of %d pairs at alpha %v: %v (%v), want %v", n, alpha, got, err, want[:3])
			}
			want = want[3:]
		}
	}
}
