package stats

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/mime"
)

// edges are the figures of bench/oracles/edges.py.
func edges(t *testing.T, name string) []float64 {
	t.Helper()
	return oracle.Read[float64](t, "testdata/edges.npz", name)
}

// scikit-learn's roc_curve; of 20 positives 19 are a recall of just 0.95.
func TestFalsePositiveRatesAgreeWithScikitLearn(t *testing.T) {
	want, nearest := edges(t, "fpr"), edges(t, "nearest")
	for i, recall := range edges(t, "recalls") {
		if got, err := FalsePositiveRate(edges(t, "positive"), edges(t, "negative"), recall); err != nil || !approx.Equal(got, want[i], 1e-12) {
			t.Errorf("at the recall %v it is %v (%v), want %v", recall, got, err, want[i])
		}
		if got, err := FalsePositiveRateNearest(edges(t, "positive"), edges(t, "negative"), recall); err != nil || !approx.Equal(got, nearest[i], 1e-12) {
			t.Errorf("at the recall nearest to %v it is %v (%v), want %v", recall, got, err, nearest[i])
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

// SciPy's binomtest(8, 10).proportion_ci() is 0.4439045 to 0.9747893, and binomtest(9, 20)'s 0.2305779 to 0.6847219.
func TestAnAccuracyIsToldWithItsInterval(t *testing.T) {
	a := Accuracy{Correct: 8, Total: 10}
	for want, got := range map[string]string{
		"80.0% (44.4 to 97.5%), 8 of 10": a.String(),
		"45.0% (23.1 to 68.5%), 9 of 20": a.Add(Accuracy{1, 10}).String(),
		"no examples":                    Accuracy{}.String(),
		"accuracy no examples":           Accuracy{}.Bundle().Data[mime.Text],
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	text, err := json.Marshal([]Accuracy{a, {}})
	var told []map[string]float64
	if err != nil || json.Unmarshal(text, &told) != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if m := told[0]; m["accuracy"] != 0.8 || m["correct"] != 8 || m["total"] != 10 || !approx.Equal(m["low"], 0.4439045, 1e-7) || !approx.Equal(m["high"], 0.9747893, 1e-7) {
		t.Errorf("%v", m)
	}
	if m := told[1]; len(m) != 4 || m["low"] != 0 || m["high"] != 1 {
		t.Errorf("of no examples: %v", m)
	}
	if row := a.Table().Rows[0]; row[1] != 8 || row[2] != 10 {
		t.Errorf("the table has %v", row)
	}
}

func TestAccuraciesOutsideOfTheirRangeAreRefused(t *testing.T) {
	fine := []AccuracyPair{{"a", 0.1, 0.2}, {"b", 0.2, 0.3}, {"c", 0.3, 0.5}}
	for _, bad := range []AccuracyPair{{"bad", -0.01, 0.5}, {"bad", 1.01, 0.5}, {"bad", 0.5, -0.01}, {"bad", 0.5, 1.01}} {
		if _, err := FitAccuracies(Linear, append(slices.Clone(fine), bad)); err == nil || !strings.Contains(err.Error(), "of bad are") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := FitAccuracies(Linear, append(slices.Clone(fine), AccuracyPair{"none", 0, 0}, AccuracyPair{"all", 1, 1})); err != nil {
		t.Errorf("0 and 1: %v", err)
	}
	for _, recall := range []float64{-0.01, 1.01} {
		if _, err := FalsePositiveRate([]float64{1}, []float64{0}, recall); err == nil {
			t.Errorf("a recall of %v is taken", recall)
		}
	}
}
