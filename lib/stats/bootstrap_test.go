package stats

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// The oracle is scipy.stats.bootstrap with other draws: bench/oracles/spurious.py. With 20,000 of them the ends agree
// to a few hundredths of the width.
func TestBootstrapAgreesWithSciPy(t *testing.T) {
	values := oracle.Read[float64](t, "../spurious/testdata/resnet20.npz", "positive")
	want := oracle.Read[float64](t, "../spurious/testdata/resnet20.npz", "bootstrap")
	mean := func(sample []int) float64 {
		var picked []float64
		for _, i := range sample {
			picked = append(picked, values[i])
		}
		return floats.Sum(picked) / float64(len(picked))
	}
	got, err := Bootstrap(len(values), 20000, 0.05, 1, mean)
	if err != nil {
		t.Fatal(err)
	}
	if off := max(math.Abs(got.Low-want[0]), math.Abs(got.High-want[1])); !approx.Equal(off, 0, 0.02*(want[1]-want[0])) {
		t.Errorf("the interval is %v, SciPy's %v", got, want)
	}
	again, err := Bootstrap(len(values), 20000, 0.05, 1, mean)
	if err != nil || again != got {
		t.Errorf("the same seed gives %v and %v", got, again)
	}
	// Where the statistic is not defined in some samples, it is about the others.
	skips := 0
	some, err := Bootstrap(len(values), 20000, 0.05, 1, func(sample []int) float64 {
		if skips++; skips%20 == 0 {
			return math.NaN()
		}
		return mean(sample)
	})
	if err != nil || !approx.Equal(some.Low, got.Low, 0.02) {
		t.Errorf("without a twentieth of the samples the interval is %v, %v", some, err)
	}
}

func TestBadBootstraps(t *testing.T) {
	one := func([]int) float64 { return 1 }
	for want, do := range map[string]func() error{
		"1 things":   func() error { _, err := Bootstrap(1, 100, 0.05, 1, one); return err },
		"in 9 draws": func() error { _, err := Bootstrap(5, 9, 0.05, 1, one); return err },
		"alpha is 1": func() error { _, err := Bootstrap(5, 100, 1, 1, one); return err },
		"is not defined": func() error {
			_, err := Bootstrap(5, 100, 0.05, 1, func([]int) float64 { return math.NaN() })
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}
