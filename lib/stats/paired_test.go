package stats

import (
	"math"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

const pairedGolden = "../evaluate/testdata/evaluate.npz" // of bench/oracles/evaluate.py

func TestMcNemarAgreesWithSciPy(t *testing.T) {
	counts := oracle.Read[int64](t, pairedGolden, "mcnemar_counts")
	for i, want := range oracle.Read[float64](t, pairedGolden, "mcnemar") {
		p := Paired{Both: 3, First: int(counts[2*i]), Second: int(counts[2*i+1]), Neither: 1}
		if got := p.McNemar(); !approx.Equal(got, want, 1e-9) {
			t.Errorf("%+v: p is %v, want %v", p, got, want)
		}
	}
}

// The example of ci.prop.ps of R's package statpsych, by the authors of the interval.
func TestPairedIntervalAgreesWithItsAuthors(t *testing.T) {
	p := Paired{Both: 12, First: 4, Second: 26, Neither: 6}
	if iv := p.Interval(); !approx.Equal(iv.Low, 0.2548067, 5e-8) || !approx.Equal(iv.High, 0.6251933, 5e-8) {
		t.Errorf("the interval of %+v is %v", p, iv)
	}
}

// With many examples it is the bootstrap's.
func TestPairedIntervalAgreesWithTheBootstrap(t *testing.T) {
	n := oracle.Read[int64](t, pairedGolden, "paired")
	p := Paired{int(n[0]), int(n[1]), int(n[2]), int(n[3])}
	want := oracle.Read[float64](t, pairedGolden, "bootstrap")
	const within = 0.003 // of a width of 0.12; the bootstrap's ends are multiples of 1/500
	if iv := p.Interval(); !approx.Equal(iv.Low, want[0], within) || !approx.Equal(iv.High, want[1], within) {
		t.Errorf("the interval of %+v is %v, SciPy's bootstrap has %v", p, iv, want)
	}
}

// Over all outcomes of 30 pairs the interval covers the difference about as often as it says.
func TestPairedIntervalCovers(t *testing.T) {
	const n = 30
	logFactorial := make([]float64, n+1)
	for i := 1; i <= n; i++ {
		logFactorial[i] = logFactorial[i-1] + math.Log(float64(i))
	}
	for _, p := range [][2]float64{{0.1, 0.1}, {0.3, 0.1}, {0.02, 0.05}, {0.4, 0.4}} {
		covered := 0.0
		for f := range n + 1 {
			for s := range n + 1 - f {
				rest := n - f - s
				probability := math.Exp(logFactorial[n] - logFactorial[f] - logFactorial[s] - logFactorial[rest] +
					float64(f)*math.Log(p[0]) + float64(s)*math.Log(p[1]) + float64(rest)*math.Log(1-p[0]-p[1]))
				iv := Paired{Both: rest, First: f, Second: s}.Interval()
				if d := p[1] - p[0]; iv.Low <= d && d <= iv.High {
					covered += probability
				}
			}
		}
		if !(covered > 0.935) {
			t.Errorf("with probabilities %v the 95%% interval covers the difference %.1f%% of the time", p, 100*covered)
		}
	}
}

func TestPairedAtTheEdges(t *testing.T) {
	p, err := PairedOf([]bool{true, true, false, false}, []bool{true, false, true, false})
	if err != nil || p != (Paired{1, 1, 1, 1}) || p.Difference() != 0 || p.McNemar() != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if iv := (Paired{}).Interval(); iv != (Interval{-1, 1}) || (Paired{Both: 5}).McNemar() != 1 {
		t.Errorf("of nothing the interval is %v", iv)
	}
	if iv := (Paired{Second: 3}).Interval(); !(iv.High == 1 && iv.Low < 0) {
		t.Errorf("of three for the second alone, which chance does as well, it is %v", iv)
	}
	for want, do := range map[string]func() error{
		"2 answers":     func() error { _, err := PairedOf([]bool{true, true}, []bool{true}); return err },
		"no examples":   func() error { _, err := PairedOf(nil, nil); return err },
		"alpha is":      func() error { _, err := p.IntervalAt(math.NaN()); return err },
		"of 0 examples": func() error { _, err := (Paired{}).IntervalAt(0.05); return err },
		"-1 and 0":      func() error { _, err := (Paired{First: -1, Both: 3}).IntervalAt(0.05); return err },
		"0 negatives":   func() error { _, err := Curve([]float64{1}, nil); return err },
		"not a number":  func() error { _, err := Curve([]float64{1}, []float64{math.NaN()}); return err },
		"alpha is 1, i": func() error { _, err := p.IntervalAt(1); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}
