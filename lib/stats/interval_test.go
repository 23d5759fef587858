package stats

import (
	"math"
	"strconv"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// The oracle is scipy.stats.binomtest(...).proportion_ci(method="exact"): bench/oracles/clopper_pearson.py.
func TestClopperPearsonAgreesWithScipy(t *testing.T) {
	rows := oracle.Rows(t, "testdata/clopper_pearson.csv")
	if len(rows) < 50 {
		t.Fatalf("only %d golden rows", len(rows))
	}
	for _, row := range rows[1:] {
		var v [5]float64
		var err error
		for i := range v {
			if v[i], err = strconv.ParseFloat(row[i], 64); err != nil {
				t.Fatal(err)
			}
		}
		got, err := ClopperPearson(int(v[0]), int(v[1]), v[2])
		if err != nil {
			t.Fatalf("%v: %v", row, err)
		}
		if !approx.Equal(got.Low, v[3], 1e-8) || !approx.Equal(got.High, v[4], 1e-8) {
			t.Errorf("ClopperPearson(%v) = %v, scipy says %v to %v", row[:3], got, v[3], v[4])
		}
	}
}

func TestClopperPearsonNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		successes, trials int
		alpha             float64
	}{{0, 0, 0.05}, {-1, 3, 0.05}, {4, 3, 0.05}, {1, 3, 0}, {1, 3, 1}, {1, 3, math.NaN()}} {
		if iv, err := ClopperPearson(c.successes, c.trials, c.alpha); err == nil {
			t.Errorf("ClopperPearson(%v) = %v, want an error", c, iv)
		}
	}
}
